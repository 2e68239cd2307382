# The commands for a clone. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(shell python3 lab/cache.py)
export HARDWAY_MIRROR := $(CACHE)/mirror
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

CUSTOM := inventories/lab-custom
SIZED := $(strip $(CONTROLLERS)$(WORKERS)$(LBS)$(FAMILIES)$(RELEASE)$(CONNECTION)$(SETTINGS))
# A lab of another size, address families, release, connection or settings keeps its inventory until `make lab-down`.
INVENTORY = $(if $(wildcard $(CUSTOM)/hosts.yml),$(CUSTOM),inventories/lab)
# Name of a host's container, as the inventory has it; over SSH, ansible_host is an address.
container = $$(ansible-inventory -i $(INVENTORY) --host $(1) \
	| python -c 'import json, sys; host = json.load(sys.stdin); print(host.get("lab_container", host["ansible_host"]))')

# None of the targets is a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## virtual environment and collection link
	@lab/setup.sh python

engine: setup
	@lab/setup.sh docker

mirror: engine inventory ## fill the artifact mirror with the programs and images of the lab's release
	@lab/setup.sh build
	@release=$$(sed -n "s/^ *cluster_release: *'\{0,1\}\([0-9.]*\)'\{0,1\}$$/\1/p" $(CUSTOM)/hosts.yml 2>/dev/null || true); \
	python lab/mirror/mirror.py fill $${release:+--release $$release} --directory $(HARDWAY_MIRROR)

node-image: engine inventory ## images of the lab's hosts: Debian 12, and what hosts have in lab_debian
	@lab/node/build.sh 12 $$(sed -nE 's/^ *lab_debian: *([0-9]+)$$/\1/p' $(CUSTOM)/hosts.yml 2>/dev/null | sort -u)

inventory: setup
	@$(if $(SIZED),python lab/inventory.py --connection=$(or $(CONNECTION),docker) --families=$(or $(FAMILIES),ipv4) $(or $(CONTROLLERS),2) $(or $(WORKERS),2) $(or $(LBS),1) "$(RELEASE)" $(SETTINGS))

lab-hosts: mirror node-image ## the lab's hosts alone, without a cluster
	@ansible-playbook -i $(INVENTORY) lab/create.yml

lab: lab-hosts ## six hosts in Docker and a cluster on them (CONTROLLERS= WORKERS= LBS= FAMILIES= RELEASE= CONNECTION= SETTINGS=)
	@ansible-playbook -i $(INVENTORY) playbooks/site.yml
	@$(MAKE) --no-print-directory lab-info

lab-info: ## nodes, kubeconfig and shell of the lab
	@docker exec $(call container,client) kubectl get nodes -o wide
	@echo
	@echo "inventory:   $(INVENTORY)"
	@echo "kubeconfig:  $(CURDIR)/.lab/pki/remote-admin.kubeconfig (from this machine)"
	@echo "shell:       make lab-shell HOST=client"
	@echo "check:       make smoke"

lab-shell: ## a shell on HOST (client unless given)
	@docker exec -it $(call container,$(or $(HOST),client)) bash

lab-wipe: setup ## remove HOST and make it again, empty
	@test -n "$(HOST)" || { echo "lab-wipe: name the host: make lab-wipe HOST=wrk02" >&2; exit 1; }
	@ansible-playbook -i $(INVENTORY) lab/destroy.yml --limit $(HOST)
	@ansible-playbook -i $(INVENTORY) lab/create.yml --limit $(HOST)

lab-down: engine ## remove the lab: hosts, network, certificates
	@ansible-playbook -i $(INVENTORY) lab/destroy.yml
	@rm -rf .lab $(CUSTOM)

smoke: setup ## the article's checks of the running cluster
	@ansible-playbook -i $(INVENTORY) playbooks/smoke.yml

docs: setup ## write the roles' READMEs from their argument specs, and the security benchmark's tables
	@python scripts/role_readmes.py
	@python tests/cis/cis.py --docs

new-release: setup ## write a release and its publishers' checksums into the catalogue (RELEASE=1.37.3 VERSIONS="etcd=3.7.4")
	@test -n "$(RELEASE)" || { echo "new-release: name the version: make new-release RELEASE=1.37.3" >&2; exit 1; }
	@PYTHONPATH=$(CURDIR)/.collections python scripts/new_release.py $(RELEASE) $(VERSIONS)

lint: setup ## check style of YAML, Python, shell and Ansible, types, and complexity of functions
	@yamllint --strict .
	@ruff check .
	@ruff format --check .
	@scripts/shell_scripts.sh | xargs shellcheck
	@mypy
	@python scripts/complexity.py
	@ansible-lint --offline

oracles: setup ## programs that tests compare with: cfssl, built into the cache, and the mirror's kubectl
	@python tests/cfssl/build.py
	@python lab/mirror/mirror.py fill --programs kubectl --images none --directory $(HARDWAY_MIRROR)

units: oracles ## tests that need no hosts
	@python -m pytest -q --numprocesses auto tests/unit tests/preflight

fuzz: setup ## damaged PEM, JSON and YAML for the certificate and kubeconfig modules (FUZZ_INPUTS= FUZZ_SEED=)
	@FUZZ_INPUTS=$(or $(FUZZ_INPUTS),10000) FUZZ_SEED=$(or $(FUZZ_SEED),1) python -m pytest -q tests/unit/plugins/modules/test_fuzz.py

test-integration: setup ## x509_cfssl_compat, kubeconfig and registries as tasks, by ansible-test (TARGET= for one)
	@tests/integration.sh $(TARGET)

# All versions of the catalogue: the lab's mirror may have only that of one release.
test-etcd: setup ## the etcd modules against real etcd processes on loopback
	@for release in $$(python -c 'import yaml; print(*yaml.safe_load(open("roles/cluster/files/catalogue.yml"))["releases"])'); do \
	python lab/mirror/mirror.py fill --release $$release --programs etcd --images none --directory $(HARDWAY_MIRROR); done
	@python -m pytest -q tests/etcd

# Of other releases it takes what the mirror has.
test-programs: setup ## the programs check their own flags and files; an API server with the role's files
	@python lab/mirror/mirror.py fill --images none --directory $(HARDWAY_MIRROR) \
		--programs kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy,etcd,containerd,crictl
	@python -m pytest -q tests/programs

# The hosts of a scenario that fails stay for inspection.
molecule: mirror node-image ## every scenario under molecule/ (SCENARIO= for one)
	@for scenario in $(or $(SCENARIO),$(filter-out shared,$(notdir $(patsubst %/,%,$(wildcard molecule/*/))))); do \
		molecule destroy --scenario-name $$scenario; \
		molecule test --destroy never --scenario-name $$scenario; \
		molecule destroy --scenario-name $$scenario; \
	done

test-lab: setup ## tests of the running lab from outside
	@python -m pytest -q tests/lab/state tests/lab/trust --ansible-inventory=$(INVENTORY)

test-network: setup ## connections between pods, Services and hosts of the running lab, in both modes of kube-proxy
	@python tests/networks.py --here $(INVENTORY)

test-networks: setup ## test-network for every pod network, on labs of their own (NETWORK= for one; removes the lab)
	@python tests/networks.py $(NETWORK)

test-families: setup ## test-network, state and a second run on a lab with IPv6 (FAMILIES=dual or ipv6, NETWORK=flannel or bridge; removes the lab)
	@python tests/networks.py $(if $(filter ipv6,$(FAMILIES)),--ipv6,--dual) $(or $(NETWORK),flannel)

test-life: setup ## the running lab is upgraded, its keys and authorities rotated, its hosts change, under clients (LIFE=upgrade for one)
	@python -m pytest -q tests/lab/life $(if $(LIFE),-k "$(LIFE)") --ansible-inventory=$(INVENTORY)

test-reset: ## empty hosts: a cluster is built on them and taken off again (creates the lab again)
	@$(MAKE) --no-print-directory lab-down
	@$(MAKE) --no-print-directory lab-hosts
	@python -m pytest -q tests/lab/life/test_reset.py --ansible-inventory=$(INVENTORY)

test-faults: setup ## a client of the running lab while a part fails, and the recovery of etcd (FAULTS=virtual for one)
	@python -m pytest -q tests/lab/faults $(if $(FAULTS),-k "$(FAULTS)") --ansible-inventory=$(INVENTORY)

test-rollback: setup ## changes that break a component are rolled back, killed runs are finished (ROLLBACK_CASES= ROLLBACK_KILLS= for fewer)
	@python -m pytest -q tests/lab/rollback --ansible-inventory=$(INVENTORY)

test-operations: setup ## scheduled backups, a full database, damaged data, and a lost PKI directory of the running lab
	@python -m pytest -q tests/lab/operations --ansible-inventory=$(INVENTORY)

test-check-runs: setup ## check runs predict what real runs do, one edit of the inventory after another
	@python -m pytest -q tests/lab/properties/test_check_mode.py --ansible-inventory=$(INVENTORY)

test-plan: setup ## plan.yml names what a check run would change, for edits of the inventory
	@python -m pytest -q tests/lab/properties/test_plan.py --ansible-inventory=$(INVENTORY)

test-scratch: ## empty hosts: a check run, many interruptions, and no secret in any output (creates the lab again)
	@$(MAKE) --no-print-directory lab-down
	@$(MAKE) --no-print-directory lab-hosts
	@python -m pytest -q tests/lab/scratch --ansible-inventory=$(INVENTORY)

test-unchanged: setup ## site.yml again, as a check run, and each tag alone: nothing changes, no file is touched
	@python -m pytest -q tests/lab/properties/test_idempotence.py --ansible-inventory=$(INVENTORY)

test-packaging: setup ## check the built archive with Galaxy's importer and ansible-test (CHECKS="contents documents sanity units")
	@python tests/packaging/check.py $(or $(CHECKS),contents documents sanity units)

test-packaging-newest: setup ## test-packaging on the newest ansible-core
	@python tests/packaging/check.py --newest $(or $(CHECKS),sanity units)

test-installed: setup ## install the built archive elsewhere; it changes nothing on the running lab
	@tests/packaging/installed.sh -i $(CURDIR)/$(INVENTORY)

# The hosts: make lab-hosts CONNECTION=ssh SETTINGS="ctl02:lab_debian=13 wrk02:lab_debian=13"
test-own-machines: setup ## an ordinary user takes the README's steps for machines of your own, on empty hosts with SSH and two systems
	@python -m pytest -q tests/lab/own_machines --ansible-inventory=$(INVENTORY)

BAD_INPUT := tests/lab/bad_input/inventory
# The hosts of a failure stay for inspection.
test-bad-input: mirror node-image ## damaged downloads, full disks, wrong clocks and settings, on separate hosts
	@ansible-playbook -i $(BAD_INPUT) lab/destroy.yml
	@rm -rf .lab/bad-input
	@ansible-playbook -i $(BAD_INPUT) lab/create.yml
	@python -m pytest -q tests/lab/bad_input --ansible-inventory=$(BAD_INPUT)
	@ansible-playbook -i $(BAD_INPUT) lab/destroy.yml
	@rm -rf .lab/bad-input

test-remove-worker: setup ## remove a worker, with a disruption budget and with an unreachable host (wipes wrk02)
	@python -m pytest -q tests/lab/properties/test_remove_worker.py --ansible-inventory=$(INVENTORY)

test-weave-password: setup ## set, change and remove Weave Net's password (restarts its pods)
	@python -m pytest -q tests/lab/properties/test_weave_password.py --ansible-inventory=$(INVENTORY)

test-registry: setup ## a private registry on the client host is the workers' only source of images
	@python -m pytest -q tests/lab/registry --ansible-inventory=$(INVENTORY)

test-proxy: setup ## a worker whose only way out is a proxy is built again (wipes the last worker)
	@python -m pytest -q tests/lab/proxy --ansible-inventory=$(INVENTORY)

test-tags: setup ## a chapter or a host alone changes only its part; a wiped worker is rebuilt
	@python -m pytest -q tests/lab/properties/test_tags_and_limits.py --ansible-inventory=$(INVENTORY)

conformance: setup ## the conformance suite of Kubernetes on the running cluster (FOCUS= SKIP= LABELS= NODES= TIMEOUT=)
	@lab/setup.sh build
	@python tests/conformance/conformance.py --inventory $(INVENTORY) $(if $(FOCUS),--focus='$(FOCUS)') $(if $(SKIP),--skip='$(SKIP)') \
		$(if $(LABELS),--labels='$(LABELS)') $(if $(NODES),--nodes=$(NODES)) $(if $(TIMEOUT),--timeout=$(TIMEOUT))

conformance-part: setup ## a part of the conformance suite that takes some minutes
	@lab/setup.sh build
	@python tests/conformance/conformance.py --inventory $(INVENTORY) --part $(if $(NODES),--nodes=$(NODES)) $(if $(TIMEOUT),--timeout=$(TIMEOUT))

conformance-dual: setup ## the suite's tests of two address families, on a running cluster that has both (make lab FAMILIES=dual)
	@lab/setup.sh build
	@python tests/conformance/conformance.py --inventory $(INVENTORY) --dual $(if $(NODES),--nodes=$(NODES)) $(if $(TIMEOUT),--timeout=$(TIMEOUT))

cis: setup ## the running cluster against the CIS benchmark for Kubernetes, with kube-bench
	@lab/setup.sh build
	@python tests/cis/cis.py --inventory $(INVENTORY)

# A package is removed as well, so that the role has something to install from the distribution.
test-rebuild: setup ## wipe the worker wrk02 and rebuild it by tag and limit
	@$(MAKE) --no-print-directory lab-wipe HOST=wrk02
	@docker exec $(call container,wrk02) sh -c 'dpkg --purge socat >/dev/null && ! command -v socat'
	@ansible-playbook -i $(INVENTORY) playbooks/site.yml --tags worker --limit wrk02
	@tests/unchanged.sh -i $(INVENTORY) playbooks/site.yml
	@$(MAKE) --no-print-directory smoke

test-fast: setup ## the parts of the gate that need no hosts
	@python tests/run.py fast

test: setup ## the gate: a new lab, and some of the long parts, drawn by the commit (SEED= draws by another)
	@python tests/run.py test $(if $(SEED),--seed=$(SEED))

test-full: setup ## every part of the gate
	@python tests/run.py full

parts: ## the parts of make test: purpose, command, and duration of the last run
	@python3 tests/run.py parts

bench: inventory ## measure site.yml beside a plain shell script (CONNECTION=ssh: over SSH, too; makes the lab again); then bench-pki
	@python tests/bench/bench.py $(if $(filter ssh,$(CONNECTION)),--inventory inventories/lab --ssh $(CUSTOM),--inventory $(INVENTORY))
	@$(MAKE) --no-print-directory bench-pki

bench-growth: ## measure time and memory with SIZES=2,5,10,20 workers (removes the lab and creates others)
	@$(MAKE) --no-print-directory lab-down
	@$(MAKE) --no-print-directory mirror node-image
	@python tests/bench/growth.py $(if $(SIZES),--sizes $(SIZES))

bench-pki: oracles ## measure certificates beside cfssl and community.crypto, for growing numbers
	@python tests/bench/pki.py
