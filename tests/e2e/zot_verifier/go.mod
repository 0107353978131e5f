module tokenserver.test/zot-verifier

go 1.21

require github.com/golang-jwt/jwt/v5 v5.3.0
