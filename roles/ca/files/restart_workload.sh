#!/bin/sh
# Starts the pods of a workload again as its own strategy says, and waits until they are ready: KIND/NAME NAMESPACE KUBECTL...
set -eu
workload=$1 namespace=$2
shift 2
"$@" --namespace="$namespace" rollout restart "$workload"
"$@" --namespace="$namespace" rollout status "$workload" --timeout=600s
