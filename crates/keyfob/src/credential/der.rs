//! As much of DER (X.690) as it takes to see what kind of key a file holds. The numbers of a key are read by `ring`.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]` and `[1]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
pub(super) const CONTEXT_1: u8 = 0xa1;

/// One element.
pub(super) struct Element<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
}

/// The elements of a sequence. It ends early where they are malformed.
pub(super) struct Elements<'d>(&'d [u8]);

/// The elements of the sequence that is the whole of this.
pub(super) fn sequence(der: &[u8]) -> Option<Elements<'_>> {
    first(der, SEQUENCE).map(Elements)
}

/// The elements in the content of a sequence.
pub(super) const fn sequence_of(content: &[u8]) -> Elements<'_> {
    Elements(content)
}

/// The content of the first element, if it has this tag.
pub(super) fn first(der: &[u8], tag: u8) -> Option<&[u8]> {
    Elements(der).next_of(tag)
}

impl<'d> Elements<'d> {
    /// The content of the next one, if it has this tag.
    pub(super) fn next_of(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            // No key is longer than 64 KiB.
            0x81 | 0x82 => {
                let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (octets.iter().fold(0, |length, octet| (length << 8) | usize::from(*octet)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Element { tag: *tag, content })
    }
}
