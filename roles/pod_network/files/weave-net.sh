#!/bin/sh
# Start Weave Net in its pod, after kube-proxy, and keep its packet filter rules before those of kube-proxy.
#
# kube-proxy writes into the chain FORWARD as well when it starts. If rules of Weave Net went there at the same time, they stood
# in another order, and packets for the node's pods were dropped until the next start. And kube-proxy accepts what it has marked:
# after a change of its mode its rules stand before those of Weave Net, which does not look at their place again, so that
# NetworkPolicies would not be enforced. The rules of Weave Net are moved to the front then, all at once.

for _ in $(seq 60); do
  curl --silent --fail --max-time 2 --output /dev/null "$KUBE_PROXY_HEALTH_URL" && break
  sleep 1
done

# Peers speak to each other on 6783 and 6784, from the nodes themselves. Pods do not: neither here nor, through here, elsewhere.
for chain in INPUT FORWARD; do
  for protocol in tcp udp; do
    rule="$chain -i weave -p $protocol --dport 6783:6784 -j DROP"
    # shellcheck disable=SC2086
    iptables -w -C $rule 2>/dev/null || iptables -w -I $rule
  done
done

while sleep 10; do
  rules=$(iptables -w -S FORWARD 2>/dev/null | grep -E -e '-[io] weave |-j KUBE-FORWARD$')
  echo "$rules" | head -n 1 | grep -q -e '-j KUBE-FORWARD$' || continue
  rules=$(echo "$rules" | grep -v -e '-j KUBE-FORWARD$') || continue
  {
    echo '*filter'
    echo "$rules" | sed 's/^-A/-D/'
    echo "$rules" | tac | sed 's/^-A/-I/'
    echo COMMIT
  } | iptables-restore -w --noflush && echo "The packet filter rules of Weave Net are first again"
done &

exec /home/weave/launch.sh "$@"
