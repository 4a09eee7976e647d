//! Verifies an ID token: its claims with the core's rules, its signature with the keys that the provider publishes.

use keyfob_core::{
    Error, Id, ProviderTime, Result, Secret,
    login::identity::Identity,
    oauth::{
        id_token::{Doubt, Expected, IdToken},
        jwk::{self, Algorithm, Hash, PublicKey, Scheme},
    },
    provider::environment::Environment,
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use crate::{
    provider::{jwks, origin},
    session::Session,
};

/// Who signed in, by the ID token of an answer. Where the provider publishes no keys, that the answer came over a
/// connection to its token endpoint is what vouches for it (OpenID Connect Core §3.1.3.7, number 6).
///
/// # Errors
/// [`Id::IdTokenInvalid`] if it is false; [`Id::IdTokenUnread`] if that cannot be determined here;
/// [`Id::Unreachable`] if the keys could not be fetched.
pub(crate) fn verified(
    session: &Session,
    environment: &Environment,
    token: &Secret,
    nonce: Option<&Secret>,
    now: ProviderTime,
) -> Result<Identity> {
    let told = |doubt: Doubt| match doubt {
        Doubt::False(why) => Error::new(Id::IdTokenInvalid, "the provider's ID token was rejected", why),
        Doubt::NotUnderstood(why) => {
            Error::new(Id::IdTokenUnread, "the provider's ID token was not used", why)
        }
    };
    let token = IdToken::read(token).map_err(told)?;
    let client_id = environment.require_client_id()?.as_str();
    token.check(&Expected { issuer: environment.issuer(), client_id, nonce, now }).map_err(told)?;
    let algorithm = token.algorithm().map_err(told)?;
    if let Some(url) = &environment.jwks_url {
        let keys = jwks::fetch(&session.world, url)?;
        let unread = |why: String| Error::new(Id::IdTokenUnread, "the provider's ID token was not used", why);
        let keys =
            jwk::keys(&keys).map_err(|why| unread(format!("the list of keys at {} {why}", origin(url))))?;
        if token.candidates(&keys).next().is_none() {
            return Err(unread(format!("no key at {} is one it could be checked with", origin(url))));
        }
        if !is_made_with_one_of(&token, algorithm, &keys) {
            let doubt = "it was not signed with any of the keys that the provider publishes";
            return Err(told(Doubt::False(doubt.into())));
        }
    }
    Ok(token.identity())
}

/// Whether what an ID token says fits this sign-in, whoever signed it.
///
/// # Errors
/// The environment has no client id.
pub(crate) fn is_ours(
    environment: &Environment,
    token: &Secret,
    nonce: Option<&Secret>,
    now: ProviderTime,
) -> Result<bool> {
    let client_id = environment.require_client_id()?.as_str();
    let expected = Expected { issuer: environment.issuer(), client_id, nonce, now };
    Ok(IdToken::read(token).is_ok_and(|token| token.check(&expected).is_ok()))
}

/// Whether a token was signed with one of these keys.
pub(crate) fn is_made_with_one_of(token: &IdToken, algorithm: Algorithm, keys: &[jwk::Key]) -> bool {
    token.candidates(keys).any(|key| made(token, algorithm, key))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a signature is over the very octets of the token; nothing keeps them"
)]
fn made(token: &IdToken, algorithm: Algorithm, key: &PublicKey) -> bool {
    is_signature(algorithm, key, token.signed().expose().as_bytes(), token.signature())
}

fn is_signature(algorithm: Algorithm, key: &PublicKey, signed: &[u8], signature: &[u8]) -> bool {
    let verdict = match (algorithm.scheme, key) {
        (Scheme::RsaPkcs1 | Scheme::RsaPss, PublicKey::Rsa { modulus, exponent }) => {
            let key = RsaPublicKeyComponents { n: modulus, e: exponent };
            key.verify(rsa(algorithm), signed, signature)
        }
        (Scheme::Ecdsa, PublicKey::P256(point)) if algorithm.hash == Hash::Sha256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
        }
        (Scheme::Ecdsa, PublicKey::P384(point)) if algorithm.hash == Hash::Sha384 => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
        }
        (Scheme::Ed25519, PublicKey::Ed25519(key)) => {
            UnparsedPublicKey::new(&ED25519, key).verify(signed, signature)
        }
        _ => return false,
    };
    verdict.is_ok()
}

fn rsa(algorithm: Algorithm) -> &'static RsaParameters {
    match (algorithm.scheme, algorithm.hash) {
        (Scheme::RsaPss, Hash::Sha256) => &RSA_PSS_2048_8192_SHA256,
        (Scheme::RsaPss, Hash::Sha384) => &RSA_PSS_2048_8192_SHA384,
        (Scheme::RsaPss, Hash::Sha512) => &RSA_PSS_2048_8192_SHA512,
        (_, Hash::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
        (_, Hash::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
        (_, Hash::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    const RS256: Algorithm = Algorithm { scheme: Scheme::RsaPkcs1, hash: Hash::Sha256 };
    const PS256: Algorithm = Algorithm { scheme: Scheme::RsaPss, hash: Hash::Sha256 };
    const ES256: Algorithm = Algorithm { scheme: Scheme::Ecdsa, hash: Hash::Sha256 };
    const ES384: Algorithm = Algorithm { scheme: Scheme::Ecdsa, hash: Hash::Sha384 };
    const EDDSA: Algorithm = Algorithm { scheme: Scheme::Ed25519, hash: Hash::Sha512 };

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
                RS256,
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
                ES256,
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
                EDDSA,
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
            for other in [RS256, PS256, ES256, ES384, EDDSA] {
                let right = is_signature(other, &key, signed.as_bytes(), &signature);
                assert_eq!(right, other == algorithm, "{algorithm:?} as {other:?}");
            }
            signature[7] ^= 1;
            assert!(!is_signature(algorithm, &key, signed.as_bytes(), &signature), "{algorithm:?}");
        }
    }

    /// One key and each of its six signatures over the same octets, made with OpenSSL: each is its own algorithm's alone.
    #[test]
    fn an_rsa_key_signs_in_six_ways() {
        let key = PublicKey::Rsa {
            modulus: octets(
                "oGUyQM-Qn07p0vqENfZJY9c1Wo8RmdmjkLi4vIZbSH7xrLeWNNCMZSMLRXw3eihdx9mXYqEaO7F0n-PY4oIBl4YN6QhkuOxW\
                 jctS0Hy9uwM4ROG0esq_2BxcTzICd00UJjUnPHjIE5_HRV9I-LGMq8VmNeFR11czyRDekXTIJtt8UIoWLGAEAfRODRajV5Dj\
                 ynWsJ9WNvCoHHgLgp08oDy49UwaS2VyrwyyALoeB4Jl7c_TLs7kaKkmdqG4Kbp9LVkIqzdWR4Bkl6MqGryziXbm1op41mZlH\
                 gXkpe8VPQuR98Awe7E7owE0HM2RWOjWl5UVayhliVTt39R_4E7f57Q",
            ),
            exponent: octets("AQAB"),
        };
        let made = [
            (
                Algorithm { scheme: Scheme::RsaPkcs1, hash: Hash::Sha256 },
                "dkR3Sc5_ZDkqIVRq37CdkLvojQuGa3EH_0uRQYU8dobLn67EeivEOUVC2pMVmnIOYSJnGjcRwzCZlbPFU-M44KRjXjNn6y6u\
                 -qAxcXWmH3X3hW_OCHjP4liZWl3M7nx5Z6EjRgQsMBDEjyRORsPQZwvYsY34DRu9opAdWT_EnwymkNjUMA1iGNwnt8LUMt5m\
                 AbfGuIFt8TLGBGBQ2PuoMj_PTW78mNBsVt-tLWRfvKhDcErll8XmVt1rSzY7hBED6dXJLgI5VddVcVBewIM3K1-OXW0AY7j4\
                 yo9fkzD-c8raVyjAtI1x0f6GfocrvoKMCQPolaMjU8CR7SNELVVBMw",
            ),
            (
                Algorithm { scheme: Scheme::RsaPkcs1, hash: Hash::Sha384 },
                "aJiM2Ft5C7A5WvFajUxvBJySHvb7ptVI8LMU6Qa9OR1U_u4DFVDuKNdg9LMLis9l-R8wM1m9BC3wsO7sA9MdQUp5yYFaZg47\
                 PxWmmde4-1V8ZTrHjDuu6dK6yUFMv6eJR47Av5RMQ8-fErKgALGBKPTs9dLT-d6-CXBCK5HYMOzEZbdlcal1_h35DNhm8GMM\
                 csBeeDdXptS0k1-GMN-M9XnLqs_aQVx2UgwFdwqkCkEpNSwme5OurpuesotKrRSRyWMEPs3cIlz_KdKEMlLeTNCeULrhB-O3\
                 g3Ry41ZM3KlJj_9Rb9YeCzWA4qd9o00nanw6OAmIEbMrQesOIr4FoA",
            ),
            (
                Algorithm { scheme: Scheme::RsaPkcs1, hash: Hash::Sha512 },
                "F2kBGkf8Gt5Alm0n-C6JSh46rp5Uy7Dhy4OW-yx6o5XAC2lmybwrCbHmxFl6ls42ER6_gzri28BOZv5Fprl9cHwFgS1-eDnp\
                 oDbE18HENgJNxPOt80F4TJ2e4sticpBfQ3-aJvzQNp9ctunS3EGmGodKZo8iJn2-O_S_b9EvFGaWpGStdsE_cNlAHnYIk7Ee\
                 Dzr5NYqUGYrr8kj_62SFpH1mK5qwVjVhYwrnH6SxMT8hZnFpnHb4oL2TUfPTqNzlqEek_YmqAnx96qppd1IHGGrB1_yp5uwX\
                 vcHUA3FN0Ewn79eq5InoBetgXVQOqt9xwSUYLQa32WDc2XXTU8-VZA",
            ),
            (
                Algorithm { scheme: Scheme::RsaPss, hash: Hash::Sha256 },
                "W3_pChIY6E2aJiKdLcXcYScH_5DZzHZKNx5jT2PpkHtQBVt3PKUCLsevIuqwJ0B_r-CFngxwPVGElIDLf1gmInZVm0oAsxTo\
                 ryTFSO7b69Hn7KjuUNzL9ee0ZuBoMhILPcXCVLyn2crK7n7SjYxrvshJzosnA5XXS9-CxSk1NlgoE9lbF0V5U_xNQ7xdjHRI\
                 M-AFV0BWkMWgQBzpThFM-NNvFoi8F1jbasCk8fpbFs2KaHRhYSmvE9KKBRMXk2PdKsMUnwo_CaZbxLXLl685680md7CCeust\
                 1dxUasMR7YGAl-8Ghj8nE338cylbDAUUN5oU6lSx3AOTkSiHcW88pA",
            ),
            (
                Algorithm { scheme: Scheme::RsaPss, hash: Hash::Sha384 },
                "X584p7PxxztIPftawDBxrttLgnnFZh3mxLxZMHvQPUC1saVG2xvPK6CA9UXRI2HKVrgf_Y4-NZy8yso3DZJgArfX9YJMVpci\
                 V8oMWllt9MZmQxga-e8FTipyvROvs2ClK6DJEvXBK_3-li8Lap3yPWe8erTvxxNBrXSriVxf6fK2ozPYfH_HWyENc8XV1NLI\
                 Z91grZT4Qiva5MFqEGiuQRUAcDniSTDAQv0KAV51lzF0PxAxvcRewwc09B0OL5luY9cFuCbWpIlsPsFRcvg_n1-d96JhNSdt\
                 yw3TbIH5s4xWA6GHe70n4NeIdodfIvHF0AxjWG_jeCR2vvEgtUR-Tw",
            ),
            (
                Algorithm { scheme: Scheme::RsaPss, hash: Hash::Sha512 },
                "ipNW2H50DhDAhZ2WAJzDPPtQvJXP1U64QuEwB9QLMrVY5DMP4SFKDZ5n5A85y_ix1VBpc6GkickW9Fj-nbBqrJr_ehqqRaMI\
                 l5xDPRk9VKiuH_l1Psp-xdfFDsqANBP8yEWv4CHMGliFeCKhmsyyk2MUnqas5w6rbF8wMfxgUHBkXPySyLAURPKVY-3H9qS0\
                 Hz5kZrXf_XcoH-0GJN6s2i52vVPZGdFUoSK1oga-CpNWuzAOpNrwBxcy6LnkDAs9nRCxjXRnKmFknKZ80voPI1XRDq1iT05N\
                 r0J-SaFlwjclimUJd0a9APk5DMoqxtzgfu8XHNUt6srBvAvxBwQGcw",
            ),
        ];
        for (algorithm, signature) in made {
            for (other, _) in made {
                let right = is_signature(other, &key, b"what was signed", &octets(signature));
                assert_eq!(right, other == algorithm, "{algorithm:?} as {other:?}");
            }
            assert!(!is_signature(algorithm, &key, b"something else", &octets(signature)), "{algorithm:?}");
        }
    }
}
