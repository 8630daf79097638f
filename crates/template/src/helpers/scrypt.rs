//! scrypt (RFC 7914) in a fraction of its memory: one block in [`GAP`] is kept, those between are computed again. The
//! agent's container has less room than the 32 MiB that Master Password's parameters ask for.

use zeroize::Zeroizing;

use super::digest::mac;

/// `r`: words of 128 bytes in a block.
const R: usize = 8;

/// `N`: blocks in the table.
const BLOCKS: usize = 32_768;

/// `p`: tables, one after the other.
const TABLES: usize = 2;

/// How many blocks share one that is kept: 4 MiB, for a little under three times the work.
const GAP: usize = 8;

const WORDS: usize = 32 * R;

type Block = [u32; WORDS];

/// 64 bytes of a password, with `N` = 32768, `r` = 8, `p` = 2.
pub(crate) fn scrypt(password: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = pbkdf2(password, salt, TABLES * WORDS * 4);
    for table in bytes.chunks_exact_mut(WORDS * 4) {
        mix(table, BLOCKS, GAP);
    }
    pbkdf2(password, &bytes, 64)
}

/// PBKDF2 with HMAC-SHA256 and one round.
fn pbkdf2(password: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length + 32));
    let mut number = 0_u32;
    while out.len() < length {
        number += 1;
        let message = Zeroizing::new([salt, &number.to_be_bytes()].concat());
        out.extend_from_slice(mac(password, &message).as_slice());
    }
    out.truncate(length);
    out
}

/// The table of `count` blocks that `bytes` begins, and a walk through it; `count` is a power of two.
fn mix(bytes: &mut [u8], count: usize, gap: usize) {
    let mut block = Zeroizing::new([0_u32; WORDS]);
    for (word, bytes) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut kept: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::with_capacity(count.div_ceil(gap)));
    for place in 0..count {
        if place % gap == 0 {
            kept.push(*block);
        }
        shuffle(&mut block);
    }
    let mut other = Zeroizing::new([0_u32; WORDS]);
    for _ in 0..count {
        let place = block[WORDS - 16] as usize % count;
        *other = kept[place / gap];
        (0..place % gap).for_each(|_| shuffle(&mut other));
        block.iter_mut().zip(other.iter()).for_each(|(word, other)| *word ^= other);
        shuffle(&mut block);
    }
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(block.iter()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// RFC 7914's `scryptBlockMix`.
fn shuffle(block: &mut Block) {
    let mut last = [0_u32; 16];
    last.copy_from_slice(&block[WORDS - 16..]);
    let mut out = [0_u32; WORDS];
    for (place, part) in block.chunks_exact(16).enumerate() {
        last.iter_mut().zip(part).for_each(|(word, part)| *word ^= part);
        salsa(&mut last);
        // Those of even places first, then the others.
        let at = (place / 2 + place % 2 * R) * 16;
        out[at..at + 16].copy_from_slice(&last);
    }
    *block = out;
}

/// Salsa20/8.
fn salsa(state: &mut [u32; 16]) {
    let before = *state;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        state[b] ^= state[a].wrapping_add(state[d]).rotate_left(7);
        state[c] ^= state[b].wrapping_add(state[a]).rotate_left(9);
        state[d] ^= state[c].wrapping_add(state[b]).rotate_left(13);
        state[a] ^= state[d].wrapping_add(state[c]).rotate_left(18);
    };
    for _ in 0..4 {
        quarter(0, 4, 8, 12);
        quarter(5, 9, 13, 1);
        quarter(10, 14, 2, 6);
        quarter(15, 3, 7, 11);
        quarter(0, 1, 2, 3);
        quarter(5, 6, 7, 4);
        quarter(10, 11, 8, 9);
        quarter(15, 12, 13, 14);
    }
    state.iter_mut().zip(before).for_each(|(word, before)| *word = word.wrapping_add(before));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914, sections 8 and 11; its other vectors have an `r` of their own or take a gigabyte.
    #[test]
    fn computes_what_the_rfc_says() {
        let mut state = [0_u32; 16];
        let input = "7e879a214f3ec9867ca940e641718f26baee555b8c61c1b50df846116dcd3b1dee24f319df9b3d8514121e4b5ac5aa3276021d2909c74829edebc68db8b8c25e";
        let output = "a41f859c6608cc993b81cacb020cef05044b2181a2fd337dfd7b1c6396682f29b4393168e3c9e6bcfe6bc5b7a06d96bae424cc102c91745c24ad673dc7618f81";
        for (word, bytes) in state.iter_mut().zip(hex::decode(input).unwrap().chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().unwrap());
        }
        salsa(&mut state);
        assert_eq!(hex::encode(state.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()), output);
        let bytes = pbkdf2(b"passwd", b"salt", 64);
        assert_eq!(hex::encode(&bytes[..16]), "55ac046e56e3089fec1691c22544b605");

        // N = 1024, r = 8, p = 16.
        let mut bytes = pbkdf2(b"password", b"NaCl", 16 * WORDS * 4);
        bytes.chunks_exact_mut(WORDS * 4).for_each(|table| mix(table, 1024, GAP));
        let want = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
        assert_eq!(hex::encode(&pbkdf2(b"password", &bytes, 64)[..]), want);
    }
}
