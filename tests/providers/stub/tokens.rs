//! ID tokens, signed with RS256 as most providers do.

use std::sync::OnceLock;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};

/// How an ID token is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Right,
    /// With one octet that is another.
    Broken,
    /// `alg` is `none` (RFC 7515 §8).
    None,
}

/// Two keys that sign nothing but these tests' tokens: `openssl genpkey -algorithm RSA`, as PKCS #8. ring makes none.
const KEYS: [&str; 2] = [
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDAdv5GtpDQyOBPMbNJTeTW9qHjB0VlTRkZ72J2xXdchGUTd7qKis8Hrpmk\
     Pywgg1knoX4d3GnK7lYZY0vJqvL7UzhHnB+lvvmiFWs8Xg6b0U9U9Uih5r+sC8AcbnnqALsIU0Gl9JQltlwauN71hhxnOJroDCRcQ3VLWnRW\
     m5HNvqhieMITnLqSfD2etjLasac2F7SM2+RO1gZmLxUFaQ7JbETFr7QkOx/EehW1GL2+u+asqNFHi6UE3CGGrBYt+GLnsEtUL8YmXHha7e45\
     LYFT5NbemoaYxbwrX6z4yFTQeur9z6Ugp+dQ30ah/O6haIpv85oIIeYDq93sF8oJWtJfAgMBAAECggEAEcmtnIl4/uLh4E/emxLI6JkowxvD\
     7SXgAQaf2gxMCM/vq4nwQqerlLEtYAG6qVKaZdBGIKpjWK8IZBZKRdw30sSROgUS47WvyqwiGhUzUnFY3KhCyzvRUSxQ2A/Z0qe4oX9YXOcq\
     3gVpo8qcSKLZcyzHHFUq8yAE8i7s+6grJJGmSpiyy+0s4DtZjvSJOxO4mKsJz5rmPTKpE0ymA5ZbZa3qb40tVsDU3GwWmCcId8i9g1cJ9RP0\
     Gl4IWmUL3NVXdYJ2+8hCqjutsjKjAed0StMfuOw+Vo52Md0P0ZA6xdVumMb2qK4gqkZJJpEQmoOTDlpccWScT6pwjjr3DjeDAQKBgQDuKPxC\
     6l0bnE3lcvNUvlBR8usZ0J+sUvuW88sfEaxGzC9JR9zB76k6F1mNS0X3f9gcuVJnS9jgW5gWPXiuDEqEoNAtTEmYb55fN2sfwNTeKXPQpce0\
     70FhV2Q8klE10mtsEXzXIY5qiOADmn10mcMEEIe88sGIjecHx9yKHAqU3wKBgQDO4b6KYJMlLbU4q6bLsxmJ0uQkR/nedky1cIrfqxw3cNzI\
     NEG6SqAHsGI2UwQSVKXF+WaBI7ooLptKie8jPpR0Xd70ju0Mg8xt1+Jxogrcdy1rUXctV/75/B+MA+alAzVODkfskbn0HvsaFKIgfOHwoWEt\
     3NLKEd1XRodbbxXygQKBgA4ZjxXHGkwQLOxwqcdSnR686v5UQ5/IKez98gCc4z4tyH7mKkOxFKvDxiF/W10TzI+mySIkc2qVAaQPb52eTKsd\
     ejW0VocX1KB+f3EZ0YB1o82uguxLXeuNaPnND9HH62QyhNmXuv7Dq7+K3fKRR+JtuBuPo7WZ8Ruc0Ym7r0SxAoGAGaRbVJVxx4rpylNkQh05\
     zh5ojqKpMsyg52BCpkR0I98GTn5Do056lVlkYu1ZNNhvD6HA9cKy4SYds1hzXn/0MJQt/Uv1z7ZKUVcPxxvZksfmxkV7qxAcF2oLkvQs00kZ\
     g0o72fOaA8sPPoVOLw6rhoLKI8AaFFewgo/IWSnko4ECgYBjUC8eUdOzb4n8i1PCaZC85/wSLSooqYYZFN2succZRh3JFSpXqq0q2xSNdzKz\
     rZyDFEx79IJ6WE1g9Lw+Odu8VipmLpbvhPKqJGFPye4WJSRPf23InOLOKsDqqWNAWcB40ewxUo2/bKtPXpoOHFwJQ0PYC5vK0mfWxSV8YTCv\
     gQ==",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCwjwp6DuK1aZxZwayXMFOlSv752GzDea7G7Yr4kwcWCcaFjkHW/BZsmysK\
     9Ufl6Ql+fABwlEq0BSo5/Okf8XxTeAmB+w9rYk7DOzqXlPWqZteG1Cc7eYUA57Ijf617E+uHIN07ze5p8tTHvxobiGDF4DF0sRCNcGobfjGx\
     rswVfs/F/c7r8chbu/kGlV8nym6HpXIUd7oQJUGTohDoOe1VY2PF+BVwHKJRmpKQPaxmjSNvUlchymzyXuHyc8sWbKfK4BXIkVs3+yOXd2h6\
     b65TvOiO0Bs6kc8x6NKPiHlG+gm7twaY2fyK3uIe8h6pacZp43tcuGecgksm+7eW/5VjAgMBAAECggEAA6mb9oc7hbbgou4FFgfPHGUvX+Bw\
     9ScfjInd8aUfJwJh52BZlkuZbXxUisAm0yqf40tQOQWifRSEWTqZXWvFf/fD/rnGCpy59IvUfdN9uyCyBN5+x9mP/EJSLDFYWG7D2oRAgp6V\
     fQYoCtK4iGyuUTyC2iBYLw7vbI2UG1L8cc+sMfiKZi2o/gQ6vFDIajEJDSHZUjBzd2Ouj/SrKBHtiUNI0yGuaODwjPKsV0Ctj1fxI+2vXmQr\
     U/HMNbXopl/pXlgh/T1Qe2NjIzWI9fd2bgRpjHX6JPnqzeD4BU8OeIQyGy0965WwUTWOwy8sTTBA2tpUIVQx2LL1d/4N2FvxAQKBgQD5TbZT\
     4V112tgHF590R1wmYJa4UtthTuFt8om33jPky1vR0q5b7OWumZKvpqa5uocIxhcCtQEwtoBqC2Hv6KTUelRGILuDFjKPvrUTFqODxkKDk72y\
     lSe83o6X6EbQhC5Ji6oxKnnOWEQJRYUTRPZTtoNMLbkyFk6OVKsjoSyfAQKBgQC1TRzywwMzlpkL6Ta+uV3yoXlorxsL3NLaYeAeJijBaxZV\
     5aKAoh/+AKyZNIgDVTcQ/N8xYsx9RYsFOT4KM5s+4eq/fEeh9M2oKltMigmqyrTx2z5bqXOHNPvoT95evlbie67Z+61/eGUvhJtevkMLrZkO\
     M1xjBQ/Vf6UQKdYYYwKBgEQVjxe1UnrfO2QkdW2iF257rm3EYxleG36VYDsQugdf6kGRUgDU350hX8gMsTfD0yD4SEx69kpBbSyI00Rburg0\
     eFN2mP8hzsknAfimlB1mxb99V68vwNx5w2OFEeHcV2/Kbr5ipUVPIbWOgNtUWBlgnNbvHcaqBOYmBV8Do1YBAoGAah0GMng9aXZdgYEwT5UD\
     Db3A56qFc/39U2Ax4rOG6x4YZpIO+Kbrfqk6XDlI2lqH7mNy5t7ivPd1FMuaKjJmTPnBge3lpz83F5Qi97tbSSF3oo8mAlQ9kAdM4X3NszpI\
     dCrb/i22MINxBczheyR07WLf0FXzXulZiSY6oCk8a+0CgYEAuFNf5XbJkHdQQFjlHVmFTF8/2RKzcGueuEQ2xYlce8qT83pGzwikOrau2kwG\
     A5C6ow4U2koW+e/QQGsVZnPqia4ZuPul30nKry4QwupCWcfDCSYctvhFvfINtXv9uSRhZht9idyq29165xB0jdFHjX4NG4d6TG0wfYWAQZ6u\
     9pw=",
];

fn keys() -> &'static [RsaKeyPair; 2] {
    static READ: OnceLock<[RsaKeyPair; 2]> = OnceLock::new();
    READ.get_or_init(|| {
        KEYS.map(|key| {
            let octets = BASE64_STANDARD.decode(key).expect("base64");
            RsaKeyPair::from_pkcs8(&octets).expect("a key")
        })
    })
}

/// What a key is called where keys have names.
fn name(key: usize) -> String {
    format!("key-{key}")
}

/// A key as it is published (RFC 7517 §4), with its name or without.
pub(crate) fn published(key: usize, named: bool) -> Value {
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(keys()[key].public());
    let text = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
    let mut jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": text(&components.n), "e": text(&components.e) });
    if named {
        jwk["kid"] = json!(name(key));
    }
    jwk
}

/// A signed JWT (RFC 7515 §7.1).
pub(crate) fn signed(claims: &Value, key: usize, named: bool, how: Signature) -> String {
    let part = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
    let mut header = json!({ "alg": if how == Signature::None { "none" } else { "RS256" }, "typ": "JWT" });
    if named && how != Signature::None {
        header["kid"] = json!(name(key));
    }
    let content = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
    if how == Signature::None {
        return format!("{content}.");
    }
    let key = &keys()[key];
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), content.as_bytes(), &mut signature)
        .expect("a signature");
    if how == Signature::Broken {
        signature[7] ^= 1;
    }
    format!("{content}.{}", part(&signature))
}
