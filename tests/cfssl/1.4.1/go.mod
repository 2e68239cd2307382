module hardway.kubernetes/cfssl

go 1.22

require github.com/cloudflare/cfssl v1.4.1

require (
	github.com/GeertJohan/go.rice v1.0.0 // indirect
	github.com/daaku/go.zipexe v1.0.2 // indirect
	github.com/go-sql-driver/mysql v1.3.0 // indirect
	github.com/golang/protobuf v1.3.1 // indirect
	github.com/google/certificate-transparency-go v1.0.21 // indirect
	github.com/jmhodges/clock v0.0.0-20160418191101-880ee4c33548 // indirect
	github.com/jmoiron/sqlx v0.0.0-20180124204410-05cef0741ade // indirect
	github.com/kisielk/sqlstruct v0.0.0-20150923205031-648daed35d49 // indirect
	github.com/lib/pq v0.0.0-20180201184707-88edab080323 // indirect
	github.com/mattn/go-sqlite3 v1.10.0 // indirect
	github.com/weppos/publicsuffix-go v0.5.0 // indirect
	github.com/zmap/zcrypto v0.0.0-20190729165852-9051775e6a2e // indirect
	github.com/zmap/zlint v0.0.0-20190806154020-fd021b4cfbeb // indirect
	golang.org/x/crypto v0.0.0-20190701094942-4def268fd1a4 // indirect
	golang.org/x/net v0.0.0-20190404232315-eb5bcb51f2a3 // indirect
	golang.org/x/text v0.3.2 // indirect
)
