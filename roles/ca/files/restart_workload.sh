#!/bin/sh
# Starts the pods of a workload again as its own strategy says, and waits until they are ready: KIND/NAME NAMESPACE.
set -eu
kubectl="/usr/local/bin/kubectl --kubeconfig=/var/lib/kubernetes/admin.kubeconfig --cache-dir=/run/kubectl --namespace=$2"
$kubectl rollout restart "$1"
$kubectl rollout status "$1" --timeout=600s
