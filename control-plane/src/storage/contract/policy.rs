//! Policies of products, and decisions under them.

use super::*;

fn policy(id: &str, product: &str, version: u32) -> ProductPolicy {
    ProductPolicy {
        id: id.into(),
        product: product.into(),
        purpose: "p".into(),
        version,
        optional: Some(true),
        fields: Some(vec!["a".into(), "b".into()]),
        retention: None,
        text: Some(("words".into(), "字".into())),
    }
}

pub(super) async fn a_product_has_one_policy_for_a_purpose_whose_versions_rise(store: &dyn Store) {
    let put = async |policy: &ProductPolicy| {
        store.product_policy_put(policy, 2, false, NOW).await.unwrap()
    };
    let first = policy("one", "x", 3);
    assert_eq!(put(&first).await, ProductPolicyPut::Done);
    assert_eq!(store.product_policies().await.unwrap(), [first]);
    for version in [1, 3] {
        assert_eq!(put(&policy("one", "x", version)).await, ProductPolicyPut::NotNewer(3));
    }
    assert_eq!(put(&policy("one", "y", 4)).await, ProductPolicyPut::OtherPlace);
    assert_eq!(put(&policy("two", "x", 1)).await, ProductPolicyPut::Taken("one".into()));
    let bare = ProductPolicy {
        optional: None,
        fields: None,
        text: None,
        retention: Some("a day".into()),
        ..policy("two", "y", 1)
    };
    assert_eq!(put(&bare).await, ProductPolicyPut::Done);
    assert_eq!(put(&policy("three", "z", 1)).await, ProductPolicyPut::Full);
    let newer = policy("one", "x", 4);
    assert_eq!(put(&newer).await, ProductPolicyPut::Done, "it replaces one");
    assert_eq!(store.product_policies().await.unwrap(), [newer, bare]);

    assert_eq!(store.product_policy_remove("none", "q", NOW).await.unwrap(), None);
    let removed = store.product_policy_remove("one", "q", NOW).await.unwrap();
    assert_eq!(removed.as_deref(), Some("p"));
    assert_eq!(store.product_policy_remove("one", "q", NOW).await.unwrap(), None);
    assert_eq!(store.product_policies().await.unwrap().len(), 1);
    assert_eq!(put(&policy("one", "x", 4)).await, ProductPolicyPut::NotNewer(4), "for ever");
    assert_eq!(put(&policy("one", "x", 5)).await, ProductPolicyPut::Done);
}

pub(super) async fn a_decision_keeps_the_policy_that_it_was_given_under(store: &dyn Store) {
    let account = account(store, "a").await;
    let act = |product: &str, version, granted| ConsentAct {
        account: account.clone(),
        subject: Subject("subject of c".into()),
        terminal: TerminalId("t".into()),
        purpose: "p".into(),
        version,
        policy: (!product.is_empty()).then(|| PolicyMark {
            product: product.into(),
            policy: format!("policy of {product}"),
        }),
        granted,
    };
    for (product, version) in [("", 1), ("x", 7), ("y", 2)] {
        store.consent_append(&act(product, version, true), NOW).await.unwrap();
    }
    let states = store.consents(&account).await.unwrap();
    let shown: Vec<_> = states
        .iter()
        .map(|state| (state.policy.as_ref().map(|it| it.policy.as_str()), state.version))
        .collect();
    assert_eq!(shown, [(None, 1), (Some("policy of x"), 7), (Some("policy of y"), 2)]);
    store.consent_append(&act("", 7, false), NOW + 1).await.unwrap();
    let states = store.consents(&account).await.unwrap();
    assert!(states.len() == 3 && states.iter().all(|state| !state.granted), "taken back wholly");
    store.consent_append(&act("x", 8, true), NOW + 2).await.unwrap();
    let states = store.consents(&account).await.unwrap();
    let granted: Vec<_> = states.iter().filter(|state| state.granted).collect();
    assert_eq!((granted.len(), granted[0].version), (1, 8));

    let events = store.consent_events(0, 9).await.unwrap();
    let start = (0, crate::consent::chain::START.to_vec());
    assert!(crate::consent::chain::verify(start.clone(), &events).is_ok());
    for change in [(|mark: &mut PolicyMark| mark.policy.push('x')) as fn(&mut PolicyMark), |mark| {
        mark.product.push('x')
    }] {
        let mut changed = events.clone();
        change(changed[1].policy.as_mut().unwrap());
        assert!(crate::consent::chain::verify(start.clone(), &changed).is_err());
    }
    let mut dropped = events;
    dropped[1].policy = None;
    assert!(crate::consent::chain::verify(start, &dropped).is_err());
}
