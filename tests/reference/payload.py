#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A slow, readable decoder of update payloads, written from docs/format.md section 4 alone.

    payload.py PAYLOAD [OLD] > NEW        --trace tells every token on stderr

It exists so that the format is what the document says and not what the C code happens to do. Nothing here is shared
with the C decoder. Exits 1 with a message when the payload is not valid.
"""
import hashlib
import struct
import sys


class Bad(Exception):
    """The payload is not valid."""


def need(condition, text):
    if not condition:
        raise Bad(text)


# ---- 4.1, 4.2: header and segment table ----

FIXED_LEN, ENTRY_LEN = 192, 40
RAW, MIXED = 0, 1


class Payload:
    def __init__(self, data):
        need(len(data) >= FIXED_LEN, "truncated")
        (magic, version, flags, self.coding, self.memory, self.old_len, self.new_len, self.old_sha256,
         self.new_sha256, self.segment_count, self.restart_every, self.window_bits, self.table_bits,
         self.cache_bits, zeros) = struct.unpack("<4sHHIIQQ32s32sIIBBB85s", data[:FIXED_LEN])
        need(magic == b"RBP1", "magic")
        need(version == 1 and self.coding in (RAW, MIXED), "version or coding")
        need(flags == 0 and not any(zeros), "reserved fields")
        need(1 <= self.segment_count <= 65536 and self.restart_every <= 65536, "segment counts")
        need(1 <= self.new_len <= 1 << 40 and self.old_len <= 1 << 40, "file lengths")
        need(self.old_len > 0 or not any(self.old_sha256), "old hash without an old file")
        need(self.memory == self.memory_needed(), "memory")
        need((self.cache_bits != 0) == (self.coding == MIXED and self.old_len > 0), "cache")
        self.segments = []
        at = FIXED_LEN + ENTRY_LEN * self.segment_count
        need(len(data) >= at, "truncated")
        for i in range(self.segment_count):
            entry = data[FIXED_LEN + ENTRY_LEN * i:][:ENTRY_LEN]
            length, new_len, digest = struct.unpack("<II32s", entry)
            need(1 <= length <= 65536 and new_len >= 1, "segment lengths")
            need(self.coding == MIXED or length == new_len, "coded segment in coding RAW")
            need(hashlib.sha256(data[at:at + length]).digest() == digest, "segment hash")
            self.segments.append((data[at:at + length], new_len))
            at += length
        need(sum(new_len for _, new_len in self.segments) == self.new_len, "sum of segments")
        need(at == len(data), "bytes follow the last segment")

    def memory_needed(self):
        if self.coding == RAW:
            need(self.window_bits == self.table_bits == self.cache_bits == 0, "sizes")
            return 2048
        need(12 <= self.window_bits <= 24 and 12 <= self.table_bits <= 24, "sizes")
        need(self.cache_bits == 0 or 12 <= self.cache_bits <= 18, "sizes")
        cache = 1 << self.cache_bits if self.cache_bits else 0
        return 20480 + (1 << self.window_bits) + (2 << self.table_bits) + cache


# ---- 4.4.1: range decoder ----

class RangeDecoder:
    def __init__(self, data):
        self.data, self.at, self.range, self.code = data, 0, 0xffffffff, 0
        for _ in range(4):
            self.code = self.code << 8 | self.next_byte()

    def next_byte(self):
        self.at += 1
        need(self.at <= len(self.data) + 4, "segment ends too early")
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, p):
        """One bit; p / 65536 is the probability that it is 1."""
        bound = (self.range >> 16) * p
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        while self.range < 1 << 24:
            self.range = self.range << 8
            self.code = self.code << 8 | self.next_byte()
        return bit


# ---- 4.4.2: slots ----

RATE = [43690, 26214, 18725, 14563, 10923, 9362, 8192, 7282, 6554, 5958, 5461, 5041, 4681, 4369, 4096, 3640]
NEW_SLOT = (2048, 0)  # probability of 1 in 4096ths, uses


def learned(slot, bit):
    p, n = slot
    return p + (((4095 if bit else 0) - p) * RATE[n] >> 16), min(n + 1, 15)


class Plain:
    """Slots used on their own, made when first asked for; a name is any tuple."""

    def __init__(self, coder):
        self.coder, self.slots = coder, {}

    def bit(self, *name):
        slot = self.slots.get(name, NEW_SLOT)
        bit = self.coder.bit(slot[0] * 16 + 8)
        self.slots[name] = learned(slot, bit)
        return bit

    def tree(self, bits, *name):
        node = 1
        for _ in range(bits):
            node = node << 1 | self.bit(*name, node)
        return node - (1 << bits)

    def number(self, kind):
        """4.4.3"""
        width = self.tree(6, kind, "width")
        need(width <= 41, "number too large")
        value, low = 1, 1
        for left in range(width, 0, -1):
            if left == width:
                bit = self.bit(kind, "high", width, 1)
            elif left == width - 1:
                bit = self.bit(kind, "high", width, 2 | value & 1)
            elif left <= 2:
                bit = self.bit(kind, "low", low)
                low = low << 1 | bit
            else:
                bit = self.coder.bit(32768)
            value = value << 1 | bit
        return value - 1


# ---- 4.4.4: mixing ----

INPUTS = 6
POINTS = [22, 28, 36, 47, 60, 77, 98, 126, 162, 208, 267, 342, 439, 562, 720, 922, 1179, 1506, 1921, 2446, 3108, 3938,
          4971, 6249, 7812, 9702, 11955, 14595, 17625, 21025, 24743, 28693, 32768, 36843, 40793, 44511, 47911, 50941,
          53581, 55834, 57724, 59287, 60565, 61598, 62428, 63090, 63615, 64030, 64357, 64614, 64816, 64974, 65097,
          65194, 65269, 65328, 65374, 65410, 65438, 65459, 65476, 65489, 65500, 65508, 65514]


def squash(x):
    at = x + 2048
    below, above = POINTS[at >> 6], POINTS[(at >> 6) + 1]
    return below + ((above - below) * (at & 63) >> 6)


def stretch_table():
    table, x = [], -2047
    for p in range(4096):
        while x < 2047 and squash(x) < p * 16 + 8:
            x += 1
        table.append(x)
    return table


STRETCH = stretch_table()


def clamp(v, limit):
    return max(-limit, min(limit, v))


def hash32(a, b):
    h = (a * 0x9e3779b1 + b * 0x85ebca6b + 0x27220a95) & 0xffffffff
    h ^= h >> 15
    return (h * 0x2c1b3c6d & 0xffffffff) ^ h >> 11


class Bucket:
    def __init__(self, check):
        self.check, self.used, self.slots = check, 0, [NEW_SLOT] * 16


class Mixer:
    def __init__(self, coder, table_bits):
        self.coder = coder
        self.buckets = [Bucket(0) for _ in range(1 << (table_bits - 4))]
        self.weights = {}

    def bucket(self, context):
        """The place of the context's bucket, which may just have been started over."""
        check, first = context >> 20, context & len(self.buckets) - 1
        second = first ^ 1
        if self.buckets[first].check == check:
            place = first
        elif self.buckets[second].check == check:
            place = second
        else:
            place = second if self.buckets[second].used < self.buckets[first].used else first
            self.buckets[place] = Bucket(check)
        self.buckets[place].used = min(self.buckets[place].used + 1, 15)
        return place

    def bit(self, places, slot, weight_set):
        weights = self.weights.setdefault(weight_set, [26000] * INPUTS)
        opinions = [STRETCH[self.buckets[place].slots[slot][0]] for place in places]
        p = squash(clamp(sum(o * w >> 16 for o, w in zip(opinions, weights)), 2047))
        bit = self.coder.bit(p)
        error = ((bit << 16) - p) >> 2
        for i, place in enumerate(places):
            weights[i] = clamp(weights[i] + (opinions[i] * error + 2048 >> 12), 1 << 19)
            slots = self.buckets[place].slots
            slots[slot] = learned(slots[slot], bit)
        return bit

    def single(self, contexts, slot, weight_set):
        return self.bit([self.bucket(c) for c in contexts], slot, weight_set)

    def byte(self, contexts, weight_set):
        """weight_set(i) for bit i, highest bit first."""
        places = [self.bucket(c) for c in contexts]
        node = 1
        for i in range(4):
            node = node << 1 | self.bit(places, node, weight_set(i))
        places = [self.bucket(hash32(c, node)) for c in contexts]
        half = 1
        for i in range(4):
            half = half << 1 | self.bit(places, half, weight_set(4 + i))
        return (node & 15) << 4 | half & 15


# ---- 4.4.5 to 4.4.8: tokens ----

LITERAL, MATCH, COPY = 0, 1, 2


class Model:
    """Everything that starts anew at a restart point."""

    def __init__(self, payload, old, new, trace):
        self.old, self.new, self.trace = old, new, trace
        self.window_len, self.started = 1 << payload.window_bits, len(new)
        self.table_bits = payload.table_bits
        self.plain = self.mixer = None
        self.kinds = [LITERAL] * 3  # newest last
        self.hits, self.since, self.gap = 0xffffffff, 255, 255
        self.lane, self.diffs = [0] * 4, [0, 0]
        self.reps, self.copy_end, self.shift = [1] * 4, 0, [0, 0]

    def use(self, coder):
        if self.plain is None:
            self.plain, self.mixer = Plain(coder), Mixer(coder, self.table_bits)
        self.plain.coder = self.mixer.coder = coder

    def say(self, text):
        if self.trace:
            print(f"{len(self.new):8} {text}", file=sys.stderr)

    def recent(self, back):
        """The output byte `back` bytes ago; 0 before the restart point."""
        return self.new[-back] if back <= len(self.new) - self.started else 0

    def old_byte(self, at):
        return self.old[at] if 0 <= at < len(self.old) else 0

    def token(self, end):
        state = tuple(self.kinds)
        if not self.plain.bit("kind", state, 0):
            self.literal()
            kind = LITERAL
        elif not self.plain.bit("kind", state, 1):
            self.match(end)
            kind = MATCH
        else:
            self.copy(state, end)
            kind = COPY
        self.kinds = self.kinds[1:] + [kind]

    def literal(self):
        at = len(self.new)
        like = self.old_byte(at + self.shift[0])
        reach = min(at - self.started, self.window_len)
        rep = self.new[at - self.reps[0]] if self.reps[0] <= reach else 0
        r = [0] + [self.recent(back) for back in range(1, 5)]
        contexts = [
            hash32(0x2100, r[1]),
            hash32(0x2200, r[2] << 8 | r[1]),
            hash32(0x2300, r[3] << 16 | r[2] << 8 | r[1]),
            hash32(0x2400, rep << 2 | at & 3),
            hash32(0x2500, like << 8 | r[2]),
            hash32(0x2600 | at & 3, r[4]),
        ]
        after_literal = self.kinds[-1] == LITERAL
        byte = self.mixer.byte(contexts, lambda i: ("literal", after_literal, i))
        self.say(f"literal {byte:02x}")
        self.new.append(byte)

    def match(self, end):
        is_rep = self.plain.bit("is_rep", self.kinds[-1])
        if is_rep:
            length = self.plain.number("rep_len") + 1
            which = self.plain.tree(2, "rep")
            distance = self.reps.pop(which)
        else:
            length = self.plain.number("match_len") + 2
            distance = self.plain.number(("distance", min(length, 5))) + 1
            self.reps.pop()
        self.reps.insert(0, distance)
        self.say(f"match len {length} distance {distance}{' (again)' if is_rep else ''}")
        need(length <= end - len(self.new), "match beyond the segment")
        need(distance <= min(len(self.new) - self.started, self.window_len), "match before the window")
        for _ in range(length):
            self.new.append(self.new[-distance])

    def copy(self, state, end):
        length = self.plain.number("copy_len") + 1
        need(length <= end - len(self.new), "copy beyond the segment")
        where = self.plain.tree(2, "from", state)
        if where == 0:
            at = len(self.new) + self.shift[0]
        elif where == 1:
            at = self.copy_end
        elif where == 2:
            at = len(self.new) + self.shift[1]
        elif self.plain.bit("sign"):
            at = self.copy_end - 1 - self.plain.number("seek")
        else:
            at = self.copy_end + 1 + self.plain.number("seek")
        self.say(f"copy len {length} from {at}")
        need(0 <= at <= len(self.old) and length <= len(self.old) - at, "copy outside the old file")
        shift = at - len(self.new)
        if shift != self.shift[0]:
            self.shift = [shift, self.shift[0]]
        self.copy_end = at + length
        self.copy_bytes(at, length)

    def copy_bytes(self, at, left):
        level, calm, good = 5, 16, 0
        while left > 0:
            if calm < 16:
                calm = calm + 1 if self.copy_byte(at) else 0
                at, left = at + 1, left - 1
            elif self.plain.bit("run", level, good):
                run = min(left, 1 << level)
                self.say(f"  run of {run}")
                self.new += self.old[at:at + run]
                self.hits = (self.hits << run | (1 << run) - 1) & 0xffffffff
                self.since = min(self.since + run, 255)
                at, left = at + run, left - run
                level, good = min(level + 1, 12), min(good + 1, 3)
            else:
                if level == 5:
                    calm = 0
                level, good = max(level - 1, 5), 0

    def copy_byte(self, at):
        """One byte of a copy; whether it equals old."""
        lane = at & 3
        o = {i: self.old_byte(at + i) for i in range(-4, 5)}
        word = o[3 - lane] << 8 | o[2 - lane]
        hits, diffs = self.hits, self.diffs
        contexts = [
            hash32(0x100, (hits & 255) << 2 | lane),
            hash32(0x200, o[0] << 8 | o[1]),
            hash32(0x300, o[-1] << 24 | o[0] << 16 | o[1] << 8 | o[2]),
            hash32(0x400, word << 3 | hits & 7),
            hash32(0x500, min(self.since, 63) << 6 | min(self.gap, 63)),
            hash32(0x600, diffs[0] << 16 | o[0] << 8 | hits & 3),
        ]
        if self.mixer.single(contexts, 8 | lane << 1 | hits & 1, ("equal", lane, hits & 3)):
            self.new.append(o[0])
            self.hits = (hits << 1 | 1) & 0xffffffff
            self.since = min(self.since + 1, 255)
            return True
        contexts = [
            hash32(0x1100 | lane, o[0]),
            hash32(0x1200 | lane, self.lane[lane]),
            hash32(0x1300, o[-1] << 16 | o[0] << 8 | o[1]),
            hash32(0x1400 | lane, diffs[0] << 3 | hits & 7),
            hash32(0x1500, diffs[0] << 8 | diffs[1]),
            hash32(0x1600 | lane, word << 8 | self.lane[lane]),
        ]
        diff = self.mixer.byte(contexts, lambda i: ("diff", lane, i))
        self.say(f"  differs by {diff:02x}")
        self.new.append(o[0] + diff & 255)
        self.hits = hits << 1 & 0xffffffff
        if diff == 0:
            # An encoder never says "not equal" and then no difference; a decoder counts it as equal.
            self.hits |= 1
            self.since = min(self.since + 1, 255)
            return True
        self.gap, self.since = self.since, 0
        self.lane[lane] = diff
        self.diffs = [diff, diffs[0]]
        return False


def decode(data, old, trace=False):
    payload = Payload(data)
    if payload.old_len > 0:
        need(len(old) == payload.old_len and hashlib.sha256(old).digest() == payload.old_sha256, "another base")
    else:
        old = b""
    new, model = bytearray(), None
    for i, (segment, new_len) in enumerate(payload.segments):
        restart = i == 0 or (payload.restart_every != 0 and i % payload.restart_every == 0)
        if payload.coding == MIXED and restart:
            model = Model(payload, old, new, trace)
        end = len(new) + new_len
        if len(segment) == new_len:
            new += segment
            continue
        coder = RangeDecoder(segment)
        model.use(coder)
        while len(new) < end:
            model.token(end)
        need(coder.at >= len(segment), "bytes of the segment are left over")
    need(hashlib.sha256(new).digest() == payload.new_sha256, "output hash")
    return bytes(new)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--trace"]
    if not 1 <= len(arguments) <= 2:
        print("usage: payload.py [--trace] PAYLOAD [OLD] > NEW", file=sys.stderr)
        return 2
    files = []
    for name in arguments:
        with open(name, "rb") as f:
            files.append(f.read())
    try:
        sys.stdout.buffer.write(decode(files[0], files[1] if len(files) > 1 else b"", "--trace" in sys.argv))
    except Bad as bad:
        print(f"payload.py: {arguments[0]}: {bad}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
