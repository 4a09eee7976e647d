//! Where in a text a form may begin, at a fraction of what reading the text octet by octet costs.
//!
//! Three octets at a time are looked up in a table of those that the beginning of a form may have in it. As any of the first
//! [`STRIDE`] places of a beginning will do, only every so many places of the text are looked at. Almost all text is passed
//! over so; what is left is looked at once more at each place, and then read.

use crate::proxy::scrub::form::Form;

/// Every so many places of a text are looked at. More of them would be passed over by mistake less often.
const STRIDE: usize = 6;
/// So many octets are looked up at once.
const GRAM: usize = 3;
/// So much of a text is passed over in one step.
const ROW: usize = 3 * STRIDE + GRAM;
/// What all of them can see.
pub(crate) const BEGINNING: usize = STRIDE - 1 + GRAM;
const BITS: usize = 1 << 16;

pub(crate) struct Filter {
    /// The octets that a form may begin with.
    may_begin: [bool; 256],
    /// What a form may begin with.
    first: Grams,
    /// What may stand at one of the first places of a form.
    early: Grams,
}

struct Grams(Box<[u64; BITS / 64]>);

impl Grams {
    fn none() -> Self {
        Self(Box::new([0; BITS / 64]))
    }

    /// A place in the table. Two rows of octets may share one: it says what may be, not what is.
    fn place(gram: &[u8]) -> usize {
        let number = u32::from_le_bytes([gram[0], gram[1], gram[2], 0]);
        (number.wrapping_mul(0x9E37_79B1) >> (32 - BITS.ilog2())) as usize
    }

    fn add(&mut self, gram: &[u8]) {
        let place = Self::place(gram);
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn has(&self, gram: &[u8]) -> bool {
        let place = Self::place(gram);
        self.0[place / 64] >> (place % 64) & 1 == 1
    }
}

impl Filter {
    pub(crate) fn new(forms: &[Form]) -> Self {
        let mut beginnings = Vec::new();
        for form in forms {
            form.beginnings(BEGINNING, &mut beginnings);
        }
        let mut filter = Self { may_begin: [false; 256], first: Grams::none(), early: Grams::none() };
        for beginning in beginnings {
            filter.may_begin[usize::from(beginning[0])] = true;
            filter.first.add(&beginning[..GRAM]);
            for gram in beginning.windows(GRAM) {
                filter.early.add(gram);
            }
        }
        filter
    }

    /// Whether a form may begin with this octet.
    pub(crate) fn may_begin(&self, octet: u8) -> bool {
        self.may_begin[usize::from(octet)]
    }

    /// The first place from which on a form may begin.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let may_begin_at = |at: &usize| {
            self.may_begin(text[*at]) && text.get(*at..*at + GRAM).is_none_or(|gram| self.first.has(gram))
        };
        let found_at = |next: usize| (next + 1 - STRIDE..=next).find(may_begin_at);
        // What begins here or at one of the places before it, back to the one that was looked at last, is noticed here.
        let mut next = from + STRIDE - 1;
        // Almost always there is nothing at several places in a row, which are looked up together.
        while let Some(row) = text.get(next..next + ROW) {
            let has = |number: usize| self.early.has(&row[number * STRIDE..number * STRIDE + GRAM]);
            if !(has(0) | has(1) | has(2) | has(3)) {
                next += 4 * STRIDE;
                continue;
            }
            for number in 0..4 {
                if has(number)
                    && let Some(found) = found_at(next + number * STRIDE)
                {
                    return Some(found);
                }
            }
            next += 4 * STRIDE;
        }
        while let Some(gram) = text.get(next..next + GRAM) {
            if self.early.has(gram)
                && let Some(found) = found_at(next)
            {
                return Some(found);
            }
            next += STRIDE;
        }
        (next + 1 - STRIDE..text.len()).find(may_begin_at)
    }
}
