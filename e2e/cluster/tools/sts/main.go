// Stands in for AWS's STS on ADDRESS, for two keys: it signs each request that reaches it once more, with AWS's own signer,
// and takes it only if the signature is the same. What AWS refuses besides is refused too: an old date, another region's
// scope, a session without its token, a web identity that nobody gave.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws/credentials"
	v4 "github.com/aws/aws-sdk-go/aws/signer/v4"
)

type key struct{ secret, session, arn string }

const account = "123456789012"

// The second is what the web identity is traded for.
var keys = map[string]key{
	"AKIAWEB": {"secret/of+web", "", "arn:aws:iam::" + account + ":user/web"},
	"ASIAWEB": {"secret/of+role", "session//token+==", "arn:aws:sts::" + account + ":assumed-role/web/sidekey"},
}

const identity = "web-identity.of+the.pod"

func refuse(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>%s</Code>"+
		"<Message>%s</Message></Error></ErrorResponse>", code, message)
}

// The region whose STS answers under a host.
func region(host string) string {
	if host == "sts.amazonaws.com" {
		return "us-east-1"
	}
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "sts."), ".cn"), ".amazonaws.com")
}

// The parts of an Authorization header: Credential, SignedHeaders, Signature.
func parts(header string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split(strings.TrimPrefix(header, "AWS4-HMAC-SHA256 "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		found[name] = value
	}
	return found
}

// What AWS finds wrong with a signed request, as code and message.
func wrong(r *http.Request, body string) (string, string) {
	said := parts(r.Header.Get("Authorization"))
	id, scope, _ := strings.Cut(said["Credential"], "/")
	owner, known := keys[id]
	if !known {
		return "InvalidClientTokenId", "The security token included in the request is invalid."
	}
	if owner.session != r.Header.Get("X-Amz-Security-Token") {
		return "InvalidClientTokenId", "The security token included in the request is invalid"
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return "SignatureDoesNotMatch", "Signature expired"
	}
	where := region(r.Host)
	if want := at.Format("20060102") + "/" + where + "/sts/aws4_request"; scope != want {
		return "SignatureDoesNotMatch", "Credential should be scoped to " + want
	}
	// Vault asks for `//`, and AWS makes paths plain before it looks at what was signed.
	again, _ := http.NewRequest(r.Method, "https://"+r.Host+path.Clean(r.URL.Path), nil)
	for _, name := range strings.Split(said["SignedHeaders"], ";") {
		// The signer adds these three by itself.
		if name != "host" && name != "x-amz-date" && name != "x-amz-security-token" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	signer := v4.NewSigner(credentials.NewStaticCredentials(id, owner.secret, owner.session))
	if _, err := signer.Sign(again, strings.NewReader(body), "sts", where, at); err != nil {
		return "InternalFailure", err.Error()
	}
	if parts(again.Header.Get("Authorization"))["Signature"] != said["Signature"] {
		return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
	}
	return "", ""
}

func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml") // Vault takes nothing else
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	form, bad := url.ParseQuery(string(raw))
	if err != nil || bad != nil || r.Method != http.MethodPost {
		refuse(w, "MalformedInput", "no form")
		return
	}
	switch form.Get("Action") {
	case "AssumeRoleWithWebIdentity":
		if form.Get("WebIdentityToken") != identity || form.Get("RoleArn") != "arn:aws:iam::"+account+":role/web" {
			refuse(w, "InvalidIdentityToken", "Provided Token is not trusted")
			return
		}
		given := keys["ASIAWEB"]
		fmt.Fprintf(w, "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"+
			"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>"+
			"<SessionToken>%s</SessionToken></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
			given.secret, given.session)
	case "GetCallerIdentity":
		if code, message := wrong(r, string(raw)); code != "" {
			refuse(w, code, message)
			return
		}
		id, _, _ := strings.Cut(parts(r.Header.Get("Authorization"))["Credential"], "/")
		fmt.Fprintf(w, "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"+
			"<Arn>%s</Arn><UserId>AIDAWEB:sidekey</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
			keys[id].arn, account)
	default:
		refuse(w, "InvalidAction", "Could not find operation")
	}
}

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(answer)))
}
