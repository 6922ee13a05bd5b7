//! Memory for slots, of which nothing is touched before a token is put there.
//!
//! It is mapped from the system, which hands it out as zeros, page by page, and every slot of zeros
//! is an empty one. Where there is much of it the system is asked for large pages: a slot is looked
//! for anywhere in it, and with pages of 4 KB the page's address is looked for as well.

use super::Window;

#[cfg(not(test))]
pub(super) use mapped::Laid;
#[cfg(test)]
pub(super) use model::Laid;

#[cfg(not(test))]
mod mapped {
    use super::Window;
    use memmap2::MmapMut;
    use self_cell::{MutBorrow, self_cell};
    use std::mem::size_of;
    use zerocopy::FromBytes as _;

    /// From here on large pages are asked for. Shards grow at nearly the same time, so whoever
    /// touches a segment of this size soon fills it.
    const LARGE: usize = 2 << 20;

    /// The map's bytes, read as windows.
    fn read(map: &MutBorrow<MmapMut>) -> Result<&[Window], ()> {
        let windows = <[Window]>::mut_from_bytes(map.borrow_mut());
        windows.map(|windows| &*windows).map_err(|_| ())
    }

    type Windows<'a> = &'a [Window];

    self_cell!(
        struct Mapped {
            owner: MutBorrow<MmapMut>,
            #[covariant]
            dependent: Windows,
        }
    );

    /// Windows that stay where they are.
    pub(in super::super) struct Laid(Option<Mapped>);

    impl Laid {
        /// As many windows, all empty; none where the system has no memory to give, and tokens that
        /// belong there have no slot then.
        pub(in super::super) fn new(windows: usize) -> Self {
            let bytes = windows.saturating_mul(size_of::<Window>());
            let mapped = MmapMut::map_anon(bytes).ok().and_then(|map| {
                #[cfg(target_os = "linux")]
                if bytes >= LARGE {
                    // A wish: a kernel without such pages says so, and serves all the same.
                    let _ = map.advise(memmap2::Advice::HugePage);
                }
                Mapped::try_new(MutBorrow::new(map), read).ok()
            });
            Self(mapped)
        }

        #[inline]
        pub(in super::super) fn windows(&self) -> &[Window] {
            self.0
                .as_ref()
                .map_or(&[], |mapped| mapped.borrow_dependent())
        }
    }
}

#[cfg(test)]
mod model {
    //! The same on the heap, since the model's atomics are more than their bytes.

    use super::Window;

    pub(in super::super) struct Laid(Box<[Window]>);

    impl Laid {
        pub(in super::super) fn new(windows: usize) -> Self {
            Self(
                std::iter::repeat_with(Window::default)
                    .take(windows)
                    .collect(),
            )
        }

        pub(in super::super) fn windows(&self) -> &[Window] {
            &self.0
        }
    }
}
