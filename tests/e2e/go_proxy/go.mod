module tokenserver.test/go-proxy

go 1.21
