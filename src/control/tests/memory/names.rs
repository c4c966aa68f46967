//! Names that were resolved before.

use super::*;

#[test]
fn a_name_keeps_its_addresses_where_no_resolver_is() {
    let found = |last: u8| Found::Addresses(vec![[10, 0, 0, last].into()]);
    let failed = || Found::Failed("timed out".to_owned());
    let mut world = World::of(by_name());
    resolved(&mut world, found(7));
    world.probed(1, 1, "+");
    world.probed(0, 7, "+");
    assert_eq!((world.told("www"), world.controller.is_settled()), (vec![(0, 7)], true));

    let (mut next, recalled) = world.restarted(by_name(), Duration::ZERO);
    assert_eq!((counts(&recalled), next.controller.is_settled()), ([2, 0, 0], true));
    assert_eq!(next.told("www"), [(0, 7)]);
    resolved(&mut next, failed());
    assert_eq!(next.told("www"), [(0, 7)], "nobody knows better");
    resolved(&mut next, found(8));
    next.probed(0, 8, "+");
    assert_eq!(next.told("www"), [(0, 8)]);

    // After a while it is looked up first; if that cannot be, it counts all the same.
    let (mut next, _) = world.restarted(by_name(), 2 * HOUR);
    next.probed(0, 7, "+");
    next.probed(1, 1, "+");
    assert!(!next.controller.is_settled(), "its name is awaited");
    assert_eq!(kinds(&resolved(&mut next, failed())).last(), Some(&"settled"));
    assert_eq!(next.told("www"), [(0, 7)]);
    // As long as a name that is gone.
    let (next, recalled) = world.restarted(by_name(), 24 * HOUR);
    assert_eq!((counts(&recalled), next.controller.watches().count()), ([0, 0, 1], 1));
}
