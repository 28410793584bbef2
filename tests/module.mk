# SPDX-License-Identifier: Apache-2.0
# Test programs and the targets that run them. tests/run counts.
TEST_LIBS := forge ota rpk tuf boot host core
$(eval $(call test_program,unit,$(sort $(wildcard tests/unit/*_test.c tests/support/*.c)),$(TEST_LIBS)))
$(eval $(call test_program,power,$(sort $(wildcard tests/power/*_test.c tests/support/*.c)),$(TEST_LIBS)))

.PHONY: tests unit power cli kill e2e
tests: $(PROGRAMS) $(TEST_PROGRAMS)
unit: tests ## Unit tests (T=filter)
	@tests/run $(B) unit
power: tests ## Every flash operation torn in every way
	@tests/run $(B) power
cli: tests ## Command lines against their recorded output (UPDATE=1 rewrites)
	@tests/run $(B) cli
kill: tests ## Programs killed at every step
	@tests/run $(B) kill
e2e: tests ## Whole updates over HTTP
	@tests/run $(B) e2e
