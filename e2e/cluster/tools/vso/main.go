// Asks the Vault Secrets Operator itself: an object, its SecretTransformations and Vault's answer a line on standard input, the data
// that it would put into the Secret on standard output.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/hashicorp/vault-secrets-operator/api/v1beta1"
	"github.com/hashicorp/vault-secrets-operator/helpers"
	"github.com/hashicorp/vault-secrets-operator/template"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

type question struct {
	Object          v1beta1.VaultStaticSecret      `json:"object"`
	Transformations []v1beta1.SecretTransformation `json:"transformations"`
	Answer          json.RawMessage                `json:"answer"` // Vault's data: of KV v2 with `data` and `metadata`
	KV2             bool                           `json:"kv2"`
}

type answer struct {
	Data  map[string][]byte `json:"data,omitempty"` // base64
	Error string            `json:"error,omitempty"`
}

// Whether its controller would call it valid: each text is a template.
func parses(spec v1beta1.SecretTransformationSpec) bool {
	all, count := template.NewSecretTemplate(""), 0
	parse := func(text string) bool {
		count++
		return all.Parse(fmt.Sprint(count), text) == nil
	}
	for _, one := range spec.SourceTemplates {
		if !parse(one.Text) {
			return false
		}
	}
	for _, one := range spec.Templates {
		if !parse(one.Text) {
			return false
		}
	}
	return true
}

func ask(scheme *runtime.Scheme, asked question) (map[string][]byte, error) {
	var objects []client.Object
	for i := range asked.Transformations {
		valid := parses(asked.Transformations[i].Spec)
		asked.Transformations[i].Status.Valid = &valid
		objects = append(objects, &asked.Transformations[i])
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	option, err := helpers.NewSecretTransformationOption(context.Background(), api, &asked.Object, nil)
	if err != nil {
		return nil, err
	}
	// As Vault's client reads it: numbers stay as they are written.
	decoder := json.NewDecoder(bytes.NewReader(asked.Answer))
	decoder.UseNumber()
	var whole map[string]any
	if err := decoder.Decode(&whole); err != nil {
		log.Fatal(err)
	}
	fields := whole
	if asked.KV2 {
		fields, _ = whole["data"].(map[string]any)
	}
	return helpers.NewSecretsDataBuilder().WithVaultData(fields, whole, option)
}

func main() {
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		log.Fatal(err)
	}
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var asked question
		if err != nil || json.Unmarshal(line, &asked) != nil {
			log.Fatalf("no question: %s", line)
		}
		var said answer
		if said.Data, err = ask(scheme, asked); err != nil {
			said = answer{Error: err.Error()}
		}
		if err := json.NewEncoder(out).Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
