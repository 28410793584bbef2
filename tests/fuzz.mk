# SPDX-License-Identifier: Apache-2.0
# make fuzz: each tests/fuzz/*_fuzz.c under libFuzzer for FUZZ_SECONDS, from seeds made by the programs. Wants clang.
FUZZ_CC ?= $(firstword $(foreach c,clang-14 clang-19 clang,$(shell command -v $(c) 2>/dev/null)))
FUZZ_SECONDS ?= 20
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -I. -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
              -Wno-unknown-pragmas

.PHONY: fuzz
fuzz: all ## Fuzz targets under libFuzzer (FUZZ_SECONDS=20 each)
ifeq ($(FUZZ_CC),)
	@echo "fuzz: clang is not here"
else
	@for t in $(FUZZ_TARGETS); do tests/fuzz/run "$(B)" "$(FUZZ_CC)" "$$t" "$(FUZZ_SECONDS)" $(FUZZ_FLAGS) || exit 1; done
endif
