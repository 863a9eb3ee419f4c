//! Certificates issued by the cluster authority.

use super::*;

const YEAR: i64 = 365 * 86_400;

#[test]
fn authority_signs_and_renews() {
    let authority = Authority::create("Test CA", NOW, NOW + 10 * YEAR).expect("an authority");
    assert!(authority.certificate.is_authority && authority.certificate.is_self_issued());
    let key = PrivateKey::generate().expect("a key");
    let names = ["gw.example.com".to_owned(), "10.0.0.9".to_owned(), "localhost".to_owned()];
    let wanted = Wanted {
        common_name: "gw.example.com",
        names: &names,
        purpose: Purpose::Tls,
        not_before: NOW,
        not_after: NOW + YEAR,
    };
    let leaf = authority.issue(&wanted, &key).expect("a certificate");
    assert_eq!((leaf.not_before, leaf.not_after), (NOW, NOW + YEAR));
    assert!(leaf.covers("10.0.0.9") && leaf.covers("localhost") && leaf.for_servers == Some(true));
    assert!(key.is_of(&leaf) && authority.signed(&leaf));
    assert_eq!(leaf.key, KeyKind::Rsa(2048));

    let renewed = authority.renew(NOW + YEAR, NOW + 20 * YEAR).expect("renewed");
    assert_ne!(renewed.certificate, authority.certificate);
    assert!(renewed.signed(&leaf), "earlier certificates stay trusted");
    assert_eq!(follow(std::slice::from_ref(&leaf), &[&renewed.certificate]), Trust::Trusted);

    let twin = Authority::create("Test CA", NOW, NOW + YEAR).expect("an authority with the same name");
    assert!(matches!(follow(std::slice::from_ref(&leaf), &[&twin.certificate]), Trust::WrongSignature(_)));
    assert_eq!(
        follow(std::slice::from_ref(&leaf), &[&twin.certificate, &authority.certificate]),
        Trust::Trusted
    );
    assert_eq!(
        follow(&[leaf.clone(), authority.certificate.clone()], &[]),
        Trust::UnknownIssuer("CN=Test CA".to_owned())
    );
    assert_eq!(
        follow(std::slice::from_ref(&leaf), &[&leaf]),
        Trust::Trusted,
        "a certificate is its own trust anchor"
    );

    let short = Authority::create("Short", NOW, NOW + YEAR / 2).expect("an authority");
    let capped = short.issue(&wanted, &key).expect("a certificate");
    assert_eq!(capped.not_after, NOW + YEAR / 2, "validity ends with the authority's");
    let shared = Wanted { purpose: Purpose::Encipherment, names: &[], ..wanted };
    let usage = authority.issue(&shared, &key).expect("a certificate").key_usage.expect("a key usage");
    assert!(usage.data_encipherment && usage.key_encipherment && usage.digital_signature);
}
