//! The one table of error codes. A code, once released, keeps its number and its meaning.
//!
//! | range | stage |
//! |---|---|
//! | SK1xxx | annotations, settings and admission |
//! | SK2xxx | templates |
//! | SK3xxx | reaching Vault and logging in |
//! | SK4xxx | secrets and leases |
//! | SK5xxx | the agent in the pod: configuration, files, state |
//! | SK6xxx | the webhook's process: certificates, Kubernetes API, serving |
//! | SK7xxx | the operator: custom resources, references, destinations |

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $advice:literal;)*) => {
        /// A stable error code, printed as `SK` and four digits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The four digits.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// One line that names the failure.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do when nothing more particular is known.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

codes! {
    AnnotationValue = 1001, "annotation value cannot be read", "Correct the annotation's value.";
    AnnotationMissing = 1002, "a needed annotation is missing", "Add the annotation.";
    AnnotationConflict = 1003, "annotations contradict each other", "Remove one of them.";
    AnnotationPath = 1004, "a file path leaves its directory", "Write a path below the volume, without `..`.";
    DestinationTwice = 1005, "two secrets have one destination", "Give one of them another file name.";
    NamespaceRefused = 1006, "pods of this namespace are not injected", "Move the pod to a namespace of your own.";
    PodRefused = 1007, "the pod cannot be injected", "Change the pod as the message says.";
    NotSupported = 1008, "the value asks for something that is not served", "Use one of the values the message names.";
    ReviewMalformed = 1009, "the admission review cannot be read", "Check what calls the webhook; an API server sends admission.k8s.io/v1.";
    SettingsMalformed = 1010, "the settings file cannot be read", "Correct the file; the settings read before stay in force.";
    Overloaded = 1011, "more admissions at once than the webhook's bound", "Try again; if it stays, add replicas or CPU.";
    ManifestMalformed = 1012, "the manifest cannot be read", "Correct the file the message names.";
    NotInjected = 1013, "a pod asks for an agent and has none", "Delete the pod, so that it is created again while the webhook answers.";
    PolicyRefused = 1020, "the webhook's settings do not allow it", "Ask the platform's people, or leave the annotation out.";
    CommandUnknown = 1030, "what a container runs is not in the pod", "Write the container's command into the pod.";

    TemplateSyntax = 2001, "the template does not parse", "Correct the template at the line and column named.";
    TemplateFunction = 2002, "the template calls an unknown or refused function", "Use a function of docs/reference/templates.md.";
    TemplateRender = 2003, "the template fails on its data", "Correct the template or the secret at the place named.";
    TemplateFile = 2004, "the template file cannot be read", "Mount the file into the agent container and check its path.";
    FormatData = 2005, "the secret does not fit the format", "Choose another format, or a field of the secret.";

    VaultDns = 3001, "the name of Vault's address does not resolve", "Check the address and the cluster's DNS.";
    VaultTcp = 3002, "Vault's address does not answer", "Check that Vault runs, its port, and NetworkPolicies between the pod and Vault.";
    VaultTls = 3003, "Vault's certificate is not trusted", "Configure the CA that signed Vault's certificate, and the name in it.";
    VaultTimeout = 3004, "Vault did not answer in time", "Check Vault's load and the network between the pod and Vault.";
    VaultProtocol = 3005, "the answer is not Vault's", "Check that the address is Vault's API, its scheme and its port.";
    VaultSealed = 3006, "Vault is sealed", "Unseal Vault; the agent goes on by itself.";
    VaultStandby = 3007, "only a standby answers", "Check Vault's cluster; the agent goes on by itself.";
    VaultUninitialised = 3008, "Vault is not initialised", "Initialise and unseal Vault.";
    VaultRateLimited = 3009, "Vault's rate limit is reached", "Raise the quota, or wait; the agent slows down by itself.";
    VaultInternal = 3010, "Vault failed inside", "Read Vault's log at the time of the request.";
    AuthMountAbsent = 3101, "the auth method is not enabled", "Enable it, or correct the auth path or the namespace.";
    AuthMountUnconfigured = 3102, "the auth method is enabled but not configured", "Write its config: vault write <path>/config kubernetes_host=...";
    AuthReviewer = 3103, "Vault could not have the token reviewed by the Kubernetes API", "Check kubernetes_host, kubernetes_ca_cert and token_reviewer_jwt of the auth method, and that its reviewer may create tokenreviews.";
    AuthRoleMissing = 3104, "the role does not exist", "Create the role, or correct its name.";
    AuthServiceAccount = 3105, "the service account is not bound to the role", "Add it to bound_service_account_names.";
    AuthNamespace = 3106, "the Kubernetes namespace is not bound to the role", "Add it to bound_service_account_namespaces.";
    AuthLiteralStar = 3107, "the role is bound to a literal \"*\" with its quotes", "Write the role again with a bare *.";
    AuthAudience = 3108, "the token's audience is not the role's", "Make the role's audience and the token's the same.";
    AuthToken = 3109, "the service account token is refused or cannot be read", "Check the token volume and the pod's clock.";
    AuthDenied = 3110, "the login is denied", "Read the causes in docs/troubleshooting.md in their order.";
    AuthMethodOther = 3111, "the auth path is of another method", "Correct the auth path or the auth type.";
    AuthMethodRefused = 3112, "this auth method is not served", "Use one of those the message names.";
    TokenDead = 3113, "the Vault token is no longer valid", "Nothing: the agent logs in again.";
    AuthCredential = 3114, "what the login shows cannot be read", "Check the file or variable named, and its mount in the agent container.";
    AuthSecretId = 3115, "the role id or the secret id is refused", "Issue a new secret id, and check that role id and secret id are of one role.";
    AuthWrappingUsed = 3116, "the secret id's wrapping was opened already, or has expired", "Find out who unwrapped it: Vault's audit log shows the request. Revoke the secret id, and issue a new one.";
    AuthWrappingPath = 3117, "the secret id's wrapping was made by another path", "Find out where it comes from before you correct the creation path.";
    AuthCertificate = 3118, "the client certificate is not accepted by the auth method", "Check that a certificate role trusts its CA and its names, and that it is in force.";
    AuthAws = 3119, "AWS refused the keys, or could not be asked", "Check the keys or the web identity's role, the region, and the node's clock.";
    AuthPrincipal = 3120, "the AWS principal is not bound to the role", "Add its ARN to bound_iam_principal_arn of the role.";
    AuthGoogle = 3121, "Google refused the identity, or could not be asked", "Check the annotation iam.gke.io/gcp-service-account, roles/iam.workloadIdentityUser for it, and project, region and cluster name.";

    PolicyDenied = 4001, "the policy denies the path", "Grant the capability named, on the path named, in a policy of the role.";
    SecretMountUnknown = 4002, "no secrets engine is mounted there", "Correct the path's mount, or the namespace.";
    SecretNotFound = 4003, "there is no secret at the path", "Write the secret, or correct the path.";
    SecretDeleted = 4004, "the secret's version is deleted or destroyed", "Undelete it, or write a new version.";
    SecretRefused = 4005, "the secrets engine refused the request", "Read Vault's words; they name the role or parameter.";
    SecretMethod = 4006, "the path does not take this verb", "Read issue paths with parameters, and data paths without.";
    SecretShape = 4007, "the answer has no data of the expected shape", "Check the path.";
    LeaseLost = 4008, "the lease is gone before its end", "Nothing: a new credential is fetched. See Vault's audit log for who revoked it.";
    StaleRead = 4009, "the server's data is behind", "Nothing: the agent asks again.";

    ConfigMalformed = 5001, "the agent's configuration cannot be read", "Use webhook and agent of one release.";
    FileWrite = 5002, "a file cannot be written", "Check the volume's size limit and its mount.";
    StateUnreadable = 5003, "the kept state cannot be read", "Nothing: the agent starts afresh with a new login.";
    StartDeadline = 5004, "the start deadline passed before all files were written", "Read the causes before this line.";
    CaUnreadable = 5005, "a CA or client certificate file cannot be read", "Check its mount and that it is PEM.";
    NotReady = 5006, "the agent has not started its work yet", "Wait; if it stays, read the agent's log.";
    CertificateMismatch = 5007, "a certificate does not fit its key", "Nothing: the old pair stays; the next issue is tried.";
    PinnedEnds = 5008, "a file mounted by its own path holds what ends or rotates", "Remove subpath-<NAME>, and read the file in its directory, where it changes.";
    SecretTooOld = 5010, "a file was removed, as Vault has not vouched for it for longer than max-stale", "Read the other causes: the file comes back with the first answer of Vault.";
    ActionFailed = 5020, "an action after a change failed", "Correct the action; it is tried again, and the files stay as they are.";
    ProgramNotRun = 5030, "the program could not be run", "Check that it is in the image, and may be run by the container's user.";

    CertificateUnusable = 6001, "the webhook's certificate cannot be used", "Check the mounted files or the CA Secret; the old certificate stays in force.";
    KubernetesApi = 6002, "the Kubernetes API refused or did not answer", "Check the service account's rights and the API server.";
    ListenFailed = 6003, "the port cannot be opened", "Check that the port is free and allowed.";
    CaBundle = 6004, "the webhook configuration's caBundle cannot be kept right", "Check the rights on mutatingwebhookconfigurations.";
    WebhookInternal = 6005, "the webhook failed inside", "Report it with the line of the webhook's log; the pod can be created again.";

    ResourceInvalid = 7001, "the custom resource cannot be used as it is", "Correct the field that the message names.";
    ReferenceMissing = 7002, "a referenced object is not there", "Create it, or correct the reference; it is taken up the moment it appears.";
    ReferenceRefused = 7003, "a referenced object does not admit this namespace", "Add the namespace to its allowedNamespaces, or use an object of this namespace.";
    ReferenceUnready = 7004, "a referenced object cannot be used itself", "Read the conditions of that object.";
    KindNotServed = 7005, "this kind is not served", "Use VaultStaticSecret, VaultDynamicSecret or VaultPKISecret.";
    DestinationMissing = 7006, "the destination Secret is not there", "Create the Secret, or set destination.create to true.";
    DestinationTaken = 7007, "the destination Secret belongs to somebody else", "Choose another destination.name; destination.overwrite takes over a Secret that no such resource owns.";
    DestinationRefused = 7008, "the destination Secret cannot be written", "Read the API server's words; an immutable Secret must be deleted first.";
    ServiceAccountToken = 7009, "no token can be had for the service account", "Create the ServiceAccount in the namespace of the resource, and let the operator create serviceaccounts/token.";
    CredentialSecret = 7010, "a Secret or ConfigMap that a login or a connection names cannot be used", "Check its name, its namespace (the resource's own) and its keys.";
    RestartFailed = 7011, "a workload could not be restarted", "Check the target's kind and name, and the operator's rights.";
    AddressRefused = 7012, "the connection's address is not allowed", "Use an address that is no link-local or metadata address, or allow it with --allow-address.";
    CloudAccount = 7013, "the service account is bound to no identity of the cloud", "Annotate it: eks.amazonaws.com/role-arn for AWS, iam.gke.io/gcp-service-account for Google; the operator needs get on serviceaccounts.";
    ForeignOperator = 7020, "a Vault Secrets Operator is at work", "Scale its Deployment to 0 first; its objects, logins and leases are taken over then.";
}

impl Code {
    /// The code of a printed `SK….`, if the table has it.
    pub fn parse(text: &str) -> Option<Self> {
        let number: u16 = text.strip_prefix("SK")?.parse().ok()?;
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SK{}", self.number())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("unknown error code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_every_code_reads_back() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        for code in Code::ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
        assert_eq!(Code::parse("SK0001"), None);
    }
}
