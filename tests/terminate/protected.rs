//! Protected principals always win, our own account first of all.

use serde_json::json;

use crate::support::{
    block_on,
    people::{
        assert_ended, assert_untouched, principal, query_everywhere, terminated_everywhere, told, user,
    },
    replica_set,
    responder::{account, compromised, respond_to, responder},
};

#[test]
fn the_protected_are_spared_and_live_and_the_others_named_with_them_die() {
    let set = replica_set();
    block_on(async {
        let keeper = user(set, "keeper", "admin").await;
        let agent = user(set, "svc-batch", "admin").await;
        let victim = user(set, "unprotected", "admin").await;
        let kept = query_everywhere(set, &keeper).await;
        let also_kept = query_everywhere(set, &agent).await;
        let victims = query_everywhere(set, &victim).await;
        let own = account(set, "responder-guarded").await;
        let protected = "protected: [{user: keeper, db: admin}, {pattern: 'svc-*@admin'}]\n";
        let responder = responder(&set.uri(&own), protected).await;
        let spared = ["keeper@admin", "svc-batch@admin", "responder-guarded@admin", "__system@local"];

        let named = [&spared[..], &["unprotected@admin"]].concat();
        let outcome = respond_to(&responder, compromised(&named)).await;

        assert_eq!(told(set, &outcome), terminated_everywhere(set, 1));
        assert_ended(&victims).await;
        assert_untouched(kept.iter().chain(&also_kept));
        for who in spared {
            let one = principal(&outcome, who);
            assert_eq!(
                (&one["spared"], &one["spared_because"]),
                (&json!(true), &json!("protected")),
                "{who}"
            );
        }
        assert_eq!(principal(&outcome, "unprotected@admin")["spared"], false);
    });
}

#[test]
fn nobody_but_the_protected_named_is_refused() {
    let set = replica_set();
    block_on(async {
        let own = account(set, "responder-alone").await;
        let responder = responder(&set.uri(&own), "").await;

        let outcome = respond_to(&responder, compromised(&["responder-alone@admin", "__system@local"])).await;

        assert_eq!((&outcome["status"], &outcome["reason"]), (&json!("refused"), &json!("guard")));
        assert_eq!(outcome["clusters"], json!([]));
        let after = respond_to(&responder, compromised(&["nobody-at-all@admin"])).await;
        assert_eq!(after["status"], "nothing_found", "our own account works on: {after:#}");
    });
}
