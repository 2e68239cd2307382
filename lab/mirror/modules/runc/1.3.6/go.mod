module hardway.kubernetes/mirror

go 1.23.0

require (
	github.com/opencontainers/runc v1.3.6
)
