module hardway.kubernetes/mirror

go 1.21

require (
	k8s.io/sample-apiserver v0.29.2
)
