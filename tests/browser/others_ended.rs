//! Hazard: somebody ends their log-in on another machine, and it goes on there (E11).

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ended_elsewhere_is_signed_out_at_its_next_click() {
    let Some(world) = World::start().await else {
        return;
    };
    let here = world.signed_in("ada").await;
    let there = world.logged_in("ada", false).await;
    let bystander = world.signed_in("ben").await;
    here.go(&world.url("/profile/sessions")).await;
    assert_eq!(here.count(".session").await, 2);
    assert_eq!(here.count(".session.current").await, 1);
    here.press(".session:not(.current) .end-session").await;
    assert_eq!(here.count(".session").await, 1);
    there.press("a[href='/profile/tokens']").await;
    assert_eq!(there.path().await, "/log-in");

    // With a device that is remembered, which would open the next session.
    there.give_password("ada", true).await;
    assert_eq!(there.path().await, "/profile/tokens");
    here.go(&world.url("/profile/sessions")).await;
    assert_eq!(
        (here.count(".session").await, here.count(".device").await),
        (2, 1)
    );
    here.press("#end-others").await;
    assert_eq!(
        (here.count(".session").await, here.count(".device").await),
        (1, 0)
    );
    there.press("a[href='/profile/sessions']").await;
    assert_eq!(there.path().await, "/log-in");

    here.press("a[href='/']").await;
    assert_eq!(here.text("#who").await, "ada");
    bystander.press("a[href='/profile/tokens']").await;
    assert_eq!(bystander.text("#who").await, "ben");
}
