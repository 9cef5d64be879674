//! Logins (RFC 6120 §6) and registration before login (XEP-0077 §3.1).
//!
//! The owner of the account's partition judges; the gateway only relays. Whether an account exists
//! cannot be told from the outside: an unknown one gets the challenge of fake keys.

use crate::account::Account;
use crate::executor::Before;
use crate::settings::Settings;
use crate::shared::{Shared, random};
use bus::envelope::{GatewayBody, Origin, SaslOutcome, SaslStep, Secret};
use bus::{ConnId, ToGateway};
use runtime::metrics;
use std::collections::HashMap;
use std::sync::Arc;
use store::{AddError, Credential, CredentialHash};
use xmpp::error::StanzaCondition;
use xmpp::sasl::{
    Binding, Exchange, Failure, FailureCondition, Hash, KeyError, Lookup, Mechanism, Next, Policy, ScramKeys,
};
use xmpp::{Jid, StanzaError};

/// Accounts whose failures one partition remembers; beyond it the oldest minute is forgotten.
const FAILURES_MAX: usize = 1024;
/// How long failures count, in milliseconds.
const FAILURES_MS: u64 = 60_000;

/// Logins of one partition's accounts.
#[derive(Default)]
pub(crate) struct Logins {
    exchanges: HashMap<ConnId, Pending>,
    /// Failures of the current minute, and when it began.
    failures: HashMap<Jid, (u64, u32)>,
}

struct Pending {
    exchange: Exchange,
    until_ms: u64,
}

/// What an exchange needs to know besides its messages.
struct Facts<'a> {
    shared: &'a Arc<Shared>,
    account: &'a Jid,
    state: Option<&'a Account>,
    conn: ConnId,
    origin: &'a Arc<Origin>,
}

impl Logins {
    /// Takes a step of an exchange and answers it, now or, where a password is hashed, soon.
    #[allow(clippy::too_many_arguments, reason = "the envelope's fields and what the executor adds")]
    pub fn step(
        &mut self,
        shared: &Arc<Shared>,
        account: &Jid,
        state: Option<&Account>,
        conn: ConnId,
        origin: &Arc<Origin>,
        step: SaslStep,
    ) {
        let facts = Facts { shared, account, state, conn, origin };
        let now_ms = shared.clock.now_ms();
        let next = match step {
            SaslStep::Abort => {
                self.exchanges.remove(&conn);
                return;
            }
            SaslStep::Start { mechanism, initial } => {
                self.start(&facts, now_ms, &mechanism, initial.as_ref())
            }
            SaslStep::Response(message) => match self.exchanges.remove(&conn) {
                Some(pending) if pending.until_ms >= now_ms => pending.exchange.respond(&message.0),
                _ => Err(Failure::new(FailureCondition::TemporaryAuthFailure, "the exchange took too long")),
            },
        };
        self.go_on(&facts, now_ms, next);
    }

    fn start(
        &mut self,
        facts: &Facts<'_>,
        now_ms: u64,
        mechanism: &str,
        initial: Option<&Secret>,
    ) -> Result<Next, Failure> {
        let settings = &facts.shared.settings;
        if self.is_limited(facts.account, now_ms, settings) {
            let text = "too many failed attempts; try again in a minute";
            return Err(Failure::new(FailureCondition::TemporaryAuthFailure, text));
        }
        if self.exchanges.len() >= settings.exchanges_max {
            self.exchanges.retain(|_, pending| pending.until_ms >= now_ms);
            if self.exchanges.len() >= settings.exchanges_max {
                return Err(FailureCondition::TemporaryAuthFailure.into());
            }
        }
        let mechanism = policy(settings, facts.origin).check(mechanism)?;
        Exchange::start(mechanism, initial.map(|secret| &*secret.0))
    }

    fn go_on(&mut self, facts: &Facts<'_>, now_ms: u64, next: Result<Next, Failure>) {
        let next = match next {
            Ok(Next::Lookup(lookup)) => match self.look_up(facts, lookup) {
                Some(next) => next,
                // A password is being hashed.
                None => return,
            },
            other => other,
        };
        let outcome = match next {
            Ok(Next::Challenge(data, exchange)) => {
                let until_ms = now_ms + u64::from(facts.shared.settings.exchange_seconds) * 1000;
                self.exchanges.insert(facts.conn, Pending { exchange, until_ms });
                SaslOutcome::Challenge(data)
            }
            Ok(Next::Success { account, data }) => {
                judge(facts.state.is_some_and(|s| s.disabled), account, data)
            }
            Ok(Next::Lookup(_)) => SaslOutcome::Failure(FailureCondition::MalformedRequest.into()),
            Err(failure) => SaslOutcome::Failure(failure),
        };
        if let SaslOutcome::Failure(failure) = &outcome
            && failure.condition == FailureCondition::NotAuthorized
        {
            self.failed(facts.account, now_ms);
        }
        send(facts.shared, facts.conn, outcome);
    }

    /// Finds the account's keys. None when the answer comes later.
    fn look_up(&mut self, facts: &Facts<'_>, lookup: Lookup) -> Option<Result<Next, Failure>> {
        let account = match lookup.account(&facts.origin.domain) {
            Ok(account) if account == *facts.account => account,
            // The gateway found another partition than the name means: nobody's account.
            Ok(_) => return Some(Err(FailureCondition::NotAuthorized.into())),
            Err(failure) => return Some(Err(failure)),
        };
        let keys = keys(facts, lookup.hash());
        let offered = policy(&facts.shared.settings, facts.origin).offers_channel_binding();
        if matches!(lookup, Lookup::Plain(_)) {
            let disabled = facts.state.is_some_and(|state| state.disabled);
            verify_later(facts, lookup, account, keys, disabled);
            return None;
        }
        let tls = facts.origin.tls.as_ref();
        let binding = Binding {
            exporter: tls.and_then(|tls| tls.exporter.as_ref()).map(|data| &data[..]),
            end_point: tls.and_then(|tls| tls.end_point.as_deref()),
            offered,
        };
        let nonce = data_encoding::BASE64_NOPAD.encode(&random::<18>());
        Some(lookup.answer(account, &keys, &nonce, &binding))
    }

    fn is_limited(&self, account: &Jid, now_ms: u64, settings: &Settings) -> bool {
        self.failures.get(account).is_some_and(|(since_ms, count)| {
            now_ms.saturating_sub(*since_ms) < FAILURES_MS && *count >= settings.attempts_per_minute
        })
    }

    /// Notes a failed login.
    pub fn failed(&mut self, account: &Jid, now_ms: u64) {
        if self.failures.len() >= FAILURES_MAX {
            self.failures.retain(|_, (since_ms, _)| now_ms.saturating_sub(*since_ms) < FAILURES_MS);
            if self.failures.len() >= FAILURES_MAX {
                self.failures.clear();
            }
        }
        let (since_ms, count) = self.failures.entry(account.clone()).or_insert((now_ms, 0));
        if now_ms.saturating_sub(*since_ms) >= FAILURES_MS {
            (*since_ms, *count) = (now_ms, 0);
        }
        *count += 1;
    }
}

fn send(shared: &Shared, conn: ConnId, outcome: SaslOutcome) {
    match &outcome {
        SaslOutcome::Challenge(_) => {}
        SaslOutcome::Success { .. } => metrics::ROUTER_LOGINS_TOTAL.increment(1),
        SaslOutcome::Failure(failure) if failure.condition == FailureCondition::TemporaryAuthFailure => {
            metrics::ROUTER_LOGINS_PUT_OFF_TOTAL.increment(1);
        }
        SaslOutcome::Failure(_) => metrics::ROUTER_LOGINS_FAILED_TOTAL.increment(1),
    }
    shared.bus.to_gateway(ToGateway { conn, body: GatewayBody::Sasl(outcome) });
}

/// A proof that holds still does not let a disabled account in.
fn judge(disabled: bool, account: Jid, data: Option<Vec<u8>>) -> SaslOutcome {
    match disabled {
        true => SaslOutcome::Failure(FailureCondition::AccountDisabled.into()),
        false => SaslOutcome::Success { account, data },
    }
}

/// Which mechanisms a connection may use.
fn policy<'a>(settings: &'a Settings, origin: &Origin) -> Policy<'a> {
    let binding = |tls: &bus::envelope::TlsFacts| tls.exporter.is_some() || tls.end_point.is_some();
    Policy {
        allowed: &settings.mechanisms,
        channel_binding: origin.tls.as_ref().is_some_and(binding),
        plaintext: origin.tls.is_some() || settings.plain_without_tls,
    }
}

fn keys(facts: &Facts<'_>, hash: Option<Hash>) -> ScramKeys {
    let credentials = facts.state.map_or(&[][..], |state| &state.credentials);
    let found = match hash {
        Some(hash) => credentials.iter().find(|credential| hash_of(credential.hash) == hash),
        // SHA-256 costs a PLAIN login least but for SHA-1, which goes some day.
        None => credentials.iter().min_by_key(|c| (c.hash != CredentialHash::Sha256, c.iterations)),
    };
    match found {
        Some(credential) => ScramKeys {
            hash: hash_of(credential.hash),
            salt: credential.salt.clone(),
            iterations: credential.iterations,
            stored_key: credential.stored_key.clone(),
            server_key: credential.server_key.clone(),
        },
        None => {
            let (key, iterations) = (&facts.shared.fake_key, facts.shared.settings.scram_iterations);
            ScramKeys::fake(key, facts.account.as_str(), hash.unwrap_or(Hash::Sha256), iterations)
        }
    }
}

/// Checks a password where it keeps nobody waiting.
fn verify_later(facts: &Facts<'_>, lookup: Lookup, account: Jid, keys: ScramKeys, disabled: bool) {
    let (shared, conn) = (facts.shared.clone(), facts.conn);
    let key = facts.account.clone();
    facts.shared.life.spawn_connection(async move {
        let Ok(_permit) = shared.hashing.acquire().await else { return };
        let checked =
            tokio::task::spawn_blocking(move || lookup.answer(account, &keys, "", &Binding::default()));
        let outcome = match checked.await {
            Ok(Ok(Next::Success { account, data })) => judge(disabled, account, data),
            Ok(Err(failure)) => SaslOutcome::Failure(failure),
            Ok(Ok(_)) | Err(_) => SaslOutcome::Failure(FailureCondition::TemporaryAuthFailure.into()),
        };
        if matches!(&outcome, SaslOutcome::Failure(f) if f.condition == FailureCondition::NotAuthorized)
            && let Some(router) = shared.router()
        {
            router.login_failed(&key);
        }
        send(&shared, conn, outcome);
    });
}

fn hash_of(hash: CredentialHash) -> Hash {
    match hash {
        CredentialHash::Sha1 => Hash::Sha1,
        CredentialHash::Sha256 => Hash::Sha256,
        CredentialHash::Sha512 => Hash::Sha512,
    }
}

/// What is stored of a password: one set of keys for each hash function. Takes milliseconds.
///
/// # Errors
/// When the password is none (RFC 4013), or too long.
pub fn credentials(password: &str, iterations: u32) -> Result<Vec<Credential>, KeyError> {
    [CredentialHash::Sha1, CredentialHash::Sha256, CredentialHash::Sha512]
        .into_iter()
        .map(|hash| {
            let keys = ScramKeys::derive(hash_of(hash), password, &random::<16>(), iterations)?;
            let ScramKeys { salt, iterations, stored_key, server_key, .. } = keys;
            Ok(Credential { hash, salt, iterations, stored_key, server_key })
        })
        .collect()
}

/// [`credentials`] on a thread that nobody waits for.
pub(crate) async fn hash(shared: &Shared, password: String) -> Result<Vec<Credential>, StanzaError> {
    let failed = || StanzaError::from(StanzaCondition::InternalServerError);
    let _permit = shared.hashing.acquire().await.map_err(|_| failed())?;
    let iterations = shared.settings.scram_iterations;
    let hashed = tokio::task::spawn_blocking(move || credentials(&password, iterations));
    hashed
        .await
        .map_err(|_| failed())?
        .map_err(|error| StanzaError::new(StanzaCondition::NotAcceptable, error.to_string()))
}

/// Makes an account for whoever asks, if the operator lets anybody.
pub(crate) fn register(
    shared: Arc<Shared>,
    account: Jid,
    conn: ConnId,
    origin: Arc<Origin>,
    password: Secret,
) -> Before {
    Box::pin(async move {
        let made = make(&shared, &account, &origin, &password).await;
        shared.bus.to_gateway(ToGateway { conn, body: GatewayBody::Registered(made) });
    })
}

async fn make(shared: &Shared, account: &Jid, origin: &Origin, password: &Secret) -> Result<(), StanzaError> {
    if !shared.settings.registration || !shared.settings.is_ours(account.domain()) {
        return Err(StanzaCondition::NotAllowed.into());
    }
    let (limit, now_ms) = (shared.settings.registrations_per_address_per_hour, shared.clock.now_ms());
    let address = origin.address.ip();
    if !shared.registrations.admit(address, limit, now_ms) {
        // XEP-0077 §3.1.1 leaves the condition open; this one tells to wait.
        let text = "too many accounts from your address; try again later";
        return Err(StanzaError::new(StanzaCondition::ResourceConstraint, text));
    }
    let made = insert(shared, account, password, now_ms).await;
    if made.is_err() {
        shared.registrations.give_back(address);
    }
    made
}

async fn insert(shared: &Shared, account: &Jid, password: &Secret, now_ms: u64) -> Result<(), StanzaError> {
    let password = str::from_utf8(&password.0).map_err(|_| StanzaCondition::NotAcceptable)?.to_owned();
    let credentials = hash(shared, password).await?;
    match shared.db.account_add(account, &credentials, now_ms).await {
        Ok(_) => {
            metrics::ROUTER_REGISTRATIONS_TOTAL.increment(1);
            Ok(())
        }
        // XEP-0077 §3.1
        Err(AddError::Exists) => Err(StanzaCondition::Conflict.into()),
        Err(error) => {
            tracing::error!(%account, %error, "cannot make an account");
            Err(StanzaCondition::InternalServerError.into())
        }
    }
}

/// Mechanisms by their names in the configuration, each with its `-PLUS` variant.
pub fn mechanisms(names: &[String]) -> Vec<Mechanism> {
    let plus = |name: &String| Mechanism::from_name(&format!("{name}-PLUS"));
    names.iter().flat_map(|name| [Mechanism::from_name(name), plus(name)]).flatten().collect()
}
