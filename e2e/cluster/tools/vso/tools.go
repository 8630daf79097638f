//go:build tools

// The operator itself, beside what main.go takes of it: `go mod tidy` keeps what it needs.
package main

import _ "github.com/hashicorp/vault-secrets-operator"
