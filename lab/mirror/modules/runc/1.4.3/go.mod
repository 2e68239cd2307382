module hardway.kubernetes/mirror

go 1.24.0

require (
	github.com/opencontainers/runc v1.4.3
)
