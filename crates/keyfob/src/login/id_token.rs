//! Whether an ID token is the issuer's: its claims by the core's rules, its signature with the keys the provider
//! publishes.

use std::time::Duration;

use keyfob_core::{
    Error, Id, Result, Secret, Timestamp,
    login::identity::Identity,
    oauth::id_token::{self, Algorithm, Expected, IdToken, PublicKey},
    provider::environment::Environment,
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::{client::Client, login::establish::origin, world::Request};

/// Who signed in, by the ID token of an answer. Where the provider publishes no keys, that the answer came over a
/// connection to its token endpoint is what vouches for it (OpenID Connect Core §3.1.3.7, number 6).
///
/// # Errors
/// [`Id::IdTokenInvalid`] when it must not be believed; [`Id::Unreachable`] when the keys could not be fetched.
pub(crate) fn verified(
    client: &Client,
    environment: &Environment,
    token: &Secret,
    nonce: Option<&Secret>,
    now: Timestamp,
) -> Result<Identity> {
    let refuse = |why: String| Error::new(Id::IdTokenInvalid, "the provider's ID token is not believed", why);
    let token = IdToken::read(token).map_err(|why| refuse(format!("it {why}")))?;
    let client_id = environment.require_client_id()?.as_str();
    token
        .check(&Expected { issuer: environment.issuer(), client_id, nonce, now })
        .map_err(|why| refuse(format!("it {why}")))?;
    if let Some(url) = &environment.jwks_url {
        let keys = fetch(client, url)?;
        let keys = id_token::keys(&keys)
            .map_err(|why| refuse(format!("the list of keys at {} {why}", origin(url))))?;
        if !token.candidates(&keys).any(|key| made(&token, key)) {
            return Err(refuse("no key of the provider's made its signature".into()));
        }
    }
    Ok(token.identity())
}

fn fetch(client: &Client, url: &str) -> Result<Vec<u8>> {
    let request =
        Request { method: "GET", url, headers: Vec::new(), body: None, timeout: Duration::from_secs(10) };
    let failed = |why| {
        let what = format!("the keys of {} could not be fetched", origin(url));
        Error::new(Id::Unreachable, what, why)
    };
    match client.world.http.send(&request) {
        Ok(answer) if answer.reply.status == 200 => Ok(answer.reply.body),
        Ok(answer) => Err(failed(format!("the provider answered {}", answer.reply.status))),
        Err(no_answer) => Err(failed(no_answer.why)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a signature is over the very octets of the token; nothing keeps them"
)]
fn made(token: &IdToken, key: &PublicKey) -> bool {
    is_signature(token.algorithm(), key, token.signed().expose().as_bytes(), token.signature())
}

fn is_signature(algorithm: Algorithm, key: &PublicKey, signed: &[u8], signature: &[u8]) -> bool {
    let plain = |algorithm, key: &[u8]| UnparsedPublicKey::new(algorithm, key).verify(signed, signature);
    let verdict = match (algorithm, key) {
        (Algorithm::Rs256, PublicKey::Rsa { modulus, exponent }) => {
            RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                signed,
                signature,
            )
        }
        (Algorithm::Ps256, PublicKey::Rsa { modulus, exponent }) => {
            RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PSS_2048_8192_SHA256,
                signed,
                signature,
            )
        }
        (Algorithm::Es256, PublicKey::P256(point)) => plain(&ECDSA_P256_SHA256_FIXED, point),
        (Algorithm::Es384, PublicKey::P384(point)) => plain(&ECDSA_P384_SHA384_FIXED, point),
        (Algorithm::EdDsa, PublicKey::Ed25519(key)) => {
            UnparsedPublicKey::new(&ED25519, key).verify(signed, signature)
        }
        _ => return false,
    };
    verdict.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    fn octets(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn point(x: &str, y: &str) -> Vec<u8> {
        [vec![4], octets(x), octets(y)].concat()
    }

    const CLAIMS: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// The examples of the RFCs, each also with one octet changed, and none with another algorithm's key.
    #[test]
    fn the_signatures_of_the_rfcs() {
        let rsa = || PublicKey::Rsa {
            modulus: octets(
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF\
                 d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo\
                 7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM\
                 Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            ),
            exponent: octets("AQAB"),
        };
        let cases = [
            // RFC 7515 appendix A.2
            (
                Algorithm::Rs256,
                rsa(),
                format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}"),
                octets(
                    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJ\
                     dbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN\
                     9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXL\
                     IhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
                ),
            ),
            // RFC 7515 appendix A.3
            (
                Algorithm::Es256,
                PublicKey::P256(point(
                    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                )),
                format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}"),
                octets(
                    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                ),
            ),
            // RFC 8037 appendix A.4
            (
                Algorithm::EdDsa,
                PublicKey::Ed25519(octets("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".into(),
                octets(
                    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
                ),
            ),
        ];
        for (algorithm, key, signed, mut signature) in cases {
            assert!(is_signature(algorithm, &key, signed.as_bytes(), &signature), "{algorithm:?}");
            assert!(!is_signature(algorithm, &key, CLAIMS.as_bytes(), &signature), "{algorithm:?}");
            for other in
                [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa]
            {
                let right = is_signature(other, &key, signed.as_bytes(), &signature);
                assert_eq!(right, other == algorithm, "{algorithm:?} as {other:?}");
            }
            signature[7] ^= 1;
            assert!(!is_signature(algorithm, &key, signed.as_bytes(), &signature), "{algorithm:?}");
        }
    }
}
