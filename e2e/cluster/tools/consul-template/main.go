// Asks consul-template and the Vault Secrets Operator themselves what the templates of crates/template/tests/cases come to.
// `consul-template DIRECTORY` prints each answer that is not the one that the table has, and fails; `-write` writes it there.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/Masterminds/sprig/v3"
	"github.com/hashicorp/consul-template/dependency"
	"github.com/hashicorp/consul-template/template"
	"github.com/hashicorp/vault-secrets-operator/helpers"
	vso "github.com/hashicorp/vault-secrets-operator/template"
)

// Who renders a table.
const (
	lenient  = "consul-template"
	strict   = "consul-template with error_on_missing_key"
	openbao  = "consul-template with all of sprig, as in OpenBao's agent"
	operator = "the Vault Secrets Operator"
)

var tables = map[string]string{
	"agent.json": lenient, "calls.json": lenient, "corners.json": lenient, "programs.json": lenient, "yaml.json": lenient,
	"strict.json": strict, "openbao.json": openbao, "operator.json": operator, "operator_calls.json": operator,
}

// What a leading `@` of a case stands for.
const secret = `{{ $d := (secret "kv1/web").Data }}`

// As Vault's client reads it: numbers stay as they are written.
func read(text []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		log.Fatal(err)
	}
	return object
}

// What the tests of crates/template/tests/compatible.rs hand out: read anew for each case, since templates may change it.
func brain(data []byte) *template.Brain {
	kv2 := `{"data": {"username": "app", "password": "p<&>\"w$", "port": 5432}, "metadata": {"version": 3, "created_time": "2024-01-01T00:00:00Z"}}`
	known := map[string]*dependency.Secret{
		"kv1/web":         {Data: read(data)},
		"secret/data/web": {Data: read([]byte(kv2))},
		"database/creds/web": {
			RequestID: "rid", LeaseID: "database/creds/web/1", LeaseDuration: 3600, Renewable: true,
			Warnings: []string{"slow"}, Data: map[string]any{"username": "v-user", "password": "v-pass"},
		},
		"auth/token/create": {RequestID: "rid", Auth: &dependency.SecretAuth{
			ClientToken: "hvs.x", Accessor: "acc", Policies: []string{"default", "web"},
			Metadata: map[string]string{"user": "u<1>", "a": "b"}, LeaseDuration: 3600, Renewable: true,
		}},
	}
	all := template.NewBrain()
	for path, answer := range known {
		query, err := dependency.NewVaultReadQuery(path)
		if err != nil {
			log.Fatal(err)
		}
		all.Remember(query, answer)
	}
	return all
}

func agent(text string, data []byte, who string) (string, error) {
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		text = secret + rest
	}
	asked := &template.NewTemplateInput{Contents: text, ErrMissingKey: who == strict}
	if who == openbao {
		asked.ExtFuncMap = map[string]any{}
		for name, function := range sprig.TxtFuncMap() {
			asked.ExtFuncMap["sprig_"+name] = function
		}
	}
	parsed, err := template.NewTemplate(asked)
	if err != nil {
		return "", err
	}
	done, err := parsed.Execute(&template.ExecuteInput{Brain: brain(data), Env: []string{"POD=web-1", "EMPTY="}})
	if err != nil {
		return "", err
	}
	if done.Missing.Len() > 0 {
		return "", fmt.Errorf("%s is missing", done.Missing)
	}
	return string(done.Output), nil
}

func operators(text string, data []byte) (string, error) {
	set := vso.NewSecretTemplate("")
	if err := set.Parse("t", text); err != nil {
		return "", err
	}
	metadata := read([]byte(`{"version": 3}`))
	input := helpers.NewSecretInput(read(data), metadata, map[string]any{"a": "1"}, map[string]any{"app": "web"})
	done, err := set.ExecuteTemplate("t", input)
	return string(done), err
}

// The answer; nothing for what is refused. Each byte that is no text becomes U+FFFD, as in the tables.
func ask(text string, data []byte, who string) *string {
	var done string
	var err error
	if who == operator {
		done, err = operators(text, data)
	} else {
		done, err = agent(text, data, who)
	}
	if err != nil {
		return nil
	}
	done = string([]rune(done))
	return &done
}

func quoted(text *string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		log.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// Compares a table, a case a line, and answers it with what was said, how many cases it has, and how many of them differed.
func compare(name, table string, data []byte, who string) (string, int, int) {
	var out strings.Builder
	all, wrong := 0, 0
	for _, line := range strings.SplitAfter(table, "\n") {
		var asked []*string
		bare := strings.TrimRight(line, "\n,")
		if !strings.HasPrefix(bare, `["`) || json.Unmarshal([]byte(bare), &asked) != nil || len(asked) != 2 {
			out.WriteString(line)
			continue
		}
		all++
		said := ask(*asked[0], data, who)
		if (said == nil) == (asked[1] == nil) && (said == nil || *said == *asked[1]) {
			out.WriteString(line)
			continue
		}
		wrong++
		fmt.Printf("%s: %s\n  there %s\n  here  %s\n", name, *asked[0], quoted(said), quoted(asked[1]))
		out.WriteString("[" + quoted(asked[0]) + ", " + quoted(said) + "]" + line[len(bare):])
	}
	return out.String(), all, wrong
}

// Unicode's categories and scripts as Go has them, for the classes of patterns: a set a line, its names, and then each range as how far
// it is from the end of the one before and how long it is, in base 36; a length of one is left out.
func sets() string {
	names := map[string][]string{}
	for alias, name := range unicode.CategoryAliases {
		names[name] = append(names[name], alias)
	}
	plain := strings.NewReplacer("_", "")
	var out strings.Builder
	add := func(name string, table *unicode.RangeTable) {
		all := append([]string{name}, names[name]...)
		slices.Sort(all[1:])
		out.WriteString(strings.ToLower(plain.Replace(strings.Join(all, " "))) + ":")
		next, low, high := 0, -1, -1
		end := func() {
			if low >= 0 {
				out.WriteString(" " + strconv.FormatInt(int64(low-next), 36))
				if high > low {
					out.WriteString("." + strconv.FormatInt(int64(high-low+1), 36))
				}
				next = high + 1
			}
		}
		for c := rune(0); c <= unicode.MaxRune; c++ {
			if !unicode.Is(table, c) || c >= 0xd800 && c <= 0xdfff {
				continue
			}
			if low < 0 || int(c) != high+1 {
				end()
				low = int(c)
			}
			high = int(c)
		}
		end()
		out.WriteString("\n")
	}
	for _, name := range slices.Sorted(maps.Keys(unicode.Categories)) {
		if len(name) == 2 && name != "Cn" && name != "LC" {
			add(name, unicode.Categories[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unicode.Scripts)) {
		add(name, unicode.Scripts[name])
	}
	return out.String()
}

func main() {
	write := flag.Bool("write", false, "write what was said into the tables")
	flag.Parse()
	log.SetOutput(io.Discard) // consul-template's own words
	data, err := os.ReadFile(filepath.Join(flag.Arg(0), "data.json"))
	if err != nil {
		fail(err)
	}
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		who, path := tables[name], filepath.Join(flag.Arg(0), name)
		table, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		said, all, differ := compare(name, string(table), data, who)
		fmt.Printf("%s: %d cases, %d differ from %s\n", name, all, differ, who)
		wrong += differ
		if *write && differ > 0 {
			if err := os.WriteFile(path, []byte(said), 0o644); err != nil {
				fail(err)
			}
		}
	}
	path := filepath.Join(flag.Arg(0), "../../src/helpers/unicode.txt")
	if known, _ := os.ReadFile(path); string(known) != sets() {
		wrong++
		fmt.Printf("%s is not what Go's Unicode %s is\n", path, unicode.Version)
		if *write {
			if err := os.WriteFile(path, []byte(sets()), 0o644); err != nil {
				fail(err)
			}
		}
	}
	if wrong > 0 && !*write {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
