# SPDX-License-Identifier: Apache-2.0
# Test programs and the targets that run them. tests/run counts.
TEST_LIBS := forge ota rpk tuf boot host core
$(eval $(call test_program,unit,$(sort $(wildcard tests/unit/*_test.c tests/support/*.c)),$(TEST_LIBS)))
$(eval $(call test_program,killat,tests/tools/killat.c,))
$(eval $(call test_program,power,$(sort $(wildcard tests/power/*_test.c tests/support/*.c)),$(TEST_LIBS)))
$(eval $(call test_program,measure,tests/bench/measure.c,))

# Each suite prints PASS, FAIL or SKIP lines; tests/run counts.
CHECK_SUITES := layers docs bare manifests unit power cli kill e2e

.PHONY: soak tests check unit power cli kill e2e layers manifests asan mutants lint bench ci deps demo
tests: $(PROGRAMS) $(APPS) $(TEST_PROGRAMS)

check: ## Build and test everything (installs Debian packages that are missing)
	@tests/deps build check
	@$(MAKE) --no-print-directory $(PARALLEL) all tests
	@tests/run $(B) $(CHECK_SUITES)
unit: tests ## Unit tests (T=filter)
	@tests/run $(B) unit
power: tests ## Every flash operation torn in every way (T=filter)
	@tests/run $(B) power
cli: tests ## Command lines against their recorded output (T=filter, UPDATE=1 rewrites)
	@tests/run $(B) cli
kill: tests ## Programs killed at every step (T=filter)
	@tests/run $(B) kill
e2e: tests ## Whole updates over HTTP (T=filter)
	@tests/run $(B) e2e
manifests: $(PROGRAMS) ## Schemas and programs agree about every example
	@tests/run $(B) manifests
layers: ## Who may include from whom
	@tests/run $(B) layers
asan: ## Unit, power and command-line tests with address and undefined-behaviour checks
	@tests/run $(B) asan
mutants: ## Seeded bugs: each must be caught by the test it names (T=filter)
	@tests/run $(B) mutants.py
lint: ## Analysers and bans on the sources, hardening of the programs
	@tests/run $(B) lint
bench: ## Numbers: delta sizes, agent memory, bootloader size
	@tests/deps build check
	@$(MAKE) --no-print-directory $(PARALLEL) all tests
	@tests/bench.sh $(B)
demo: ## From keys to a booted update and an installed package (OLD=, NEW=, RPK= take your files; KEEP=1)
	@tests/deps build
	@$(MAKE) --no-print-directory $(PARALLEL) all $(B)/test-bin/measure
	@OLD='$(OLD)' NEW='$(NEW)' RPK='$(RPK)' tests/demo/demo.sh $(B)
ci: ## The long proofs: lint, reproducible build, fuzzing, asan, mutants
	@tests/deps build check ci
	@$(MAKE) --no-print-directory $(PARALLEL) all tests
	@tests/run $(B) $(CI_SUITES)
soak: ## Hours: every kill point and every torn flash operation, in full
	@tests/deps build check ci
	@$(MAKE) --no-print-directory $(PARALLEL) all tests
	@tests/run $(B) complete
deps: ## Install the Debian packages that are missing
	@tests/deps build check ci

CI_SUITES := lint reproducible fuzzed asan mutants.py

# tests/power/update_test.c remembers the answers of the signature check.
$(B)/test-bin/power: override LDFLAGS += -Wl,--wrap=rb_p256_verify
# tests/unit/build_test.c lets the decoder disagree with the encoder.
$(B)/test-bin/unit: override LDFLAGS += -Wl,--wrap=rb_payload_decode
include tests/fuzz.mk
