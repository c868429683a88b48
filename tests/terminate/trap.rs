//! The trap: the command that the manual shows for one user ends everybody's sessions.

use severance::lab::Credentials;

use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, kills_of, query_everywhere, terminated_everywhere, told, user},
    replica_set,
    responder::{compromised, respond_to, shared},
};

#[test]
fn only_the_named_user_dies_and_the_same_name_in_another_database_lives() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let mallory = user(set, "mallory", "admin").await;
        let namesake = user(set, "mallory", "app").await;
        let bystander = user(set, "bystander", "admin").await;
        let victims = query_everywhere(set, &mallory).await;
        let others =
            [query_everywhere(set, &namesake).await, query_everywhere(set, &bystander).await].concat_all();

        let outcome = respond_to(responder, compromised(&["mallory@admin"])).await;

        assert_eq!(told(set, &outcome), terminated_everywhere(set, 1));
        assert_ended(&victims).await;
        assert_untouched(&others);
        for member in 0..set.size() {
            assert_eq!(kills_of(set, member, &outcome).len(), 1, "in the log of {member}");
        }
    });
}

#[test]
fn a_kill_on_one_member_would_not_be_enough_so_every_member_logs_its_own() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who: Credentials = user(set, "everywhere", "admin").await;
        let victims = query_everywhere(set, &who).await;

        let outcome = respond_to(responder, compromised(&["everywhere@admin"])).await;

        assert_ended(&victims).await;
        for member in 0..set.size() {
            let kills = kills_of(set, member, &outcome);
            let command = &kills[0]["attr"]["command"];
            let text = command.to_string();
            assert!(text.contains("\"severance\""), "no batch in the comment: {text}");
            assert_eq!(text.matches("\"uid\"").count(), 1, "one pattern for one person: {text}");
            assert!(!text.contains("users") && !text.contains("roles"), "{text}");
        }
    });
}

trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T, const N: usize> ConcatAll<T> for [Vec<T>; N] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}
