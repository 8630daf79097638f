// Asks vault-k8s itself: one pod a line on standard input, what its admission handler makes of it on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/hashicorp/go-hclog"
	inject "github.com/hashicorp/vault-k8s/agent-inject"
	admission "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

type answer struct {
	Allowed bool            `json:"allowed"`
	Message string          `json:"message,omitempty"`
	Patch   json.RawMessage `json:"patch,omitempty"`
}

// The values that its flags have when nothing is said; Vault's address as Sidekey has it.
var handler = inject.Handler{
	RequireAnnotation:  true,
	VaultAddress:       "https://vault.vault.svc:8200",
	VaultAuthType:      "kubernetes",
	VaultAuthPath:      "auth/kubernetes",
	ImageVault:         "localhost/stand-in:1",
	Log:                hclog.NewNullLogger(),
	UserID:             "100",
	GroupID:            "1000",
	SetSecurityContext: true,
	DefaultTemplate:    "map",
	ResourceRequestCPU: "250m",
	ResourceRequestMem: "64Mi",
	ResourceLimitCPU:   "500m",
	ResourceLimitMem:   "128Mi",
	ExitOnRetryFailure: true,
}

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		request := admission.AdmissionRequest{Namespace: "shop", Object: runtime.RawExtension{Raw: line}}
		response := handler.Mutate(&request).Resp
		said := answer{Allowed: response.Allowed, Patch: response.Patch}
		if response.Result != nil {
			said.Message = response.Result.Message
		}
		if err := json.NewEncoder(out).Encode(said); err != nil {
			log.Fatal(err)
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				log.Fatal(err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
