# SPDX-License-Identifier: Apache-2.0
# riverboot. core/ is freestanding and uses only lib/core; a port is a directory under port/.
$(eval $(call library,boot,$(sort $(wildcard bootloader/core/*.c))))
ifneq ($(wildcard bootloader/port/sim/main.c),)
$(eval $(call program,riverboot-sim,$(sort $(wildcard bootloader/port/sim/*.c)),boot host core))
endif
include bootloader/app/module.mk

.PHONY: bare
bare: ## lib/core and the loader's core for Cortex-M3 and RV32, without a libc
	@tests/run $(B) bare
