# SPDX-License-Identifier: Apache-2.0
# The application that lies in a slot: freestanding, one source for every machine, four releases of it. Release 3.0.0
# is release 2 with a defect, 3.0.1 is without it. APP_ARCH names the Linux machine it is for; APP_CC its compiler.
APP_ARCH     ?= $(shell uname -m)
APP_CC       ?= $(CC)
APP_VERSIONS := 1.0.0 2.0.0 3.0.0 3.0.1
APP_COMMON   := $(addprefix bootloader/app/,main.c selftest.c calendar.c console.c screen.c sound.c steps.c) \
                lib/core/bytes.c lib/core/mem.c
APP_PLATFORM := bootloader/app/platform_linux.c bootloader/app/linux_$(APP_ARCH).c
APP_1.0.0    := $(addprefix bootloader/app/v1/,release.c face.c pulse.c)
APP_2.0.0    := $(addprefix bootloader/app/v2/,release.c face.c pulse.c moon.c notice.c checks.c)
APP_3.0.0    := bootloader/app/v3/release.c bootloader/app/v3/pulse.c \
                $(filter-out %/release.c %/pulse.c,$(APP_2.0.0))

APP_3.0.1    := bootloader/app/v3_fixed/release.c $(filter-out %/release.c,$(APP_2.0.0))

# No profile flags: what lies in a slot is the same program whoever tests it. gcc must not make mem.c's loops into
# calls of themselves.
APP_CFLAGS   = -std=c11 -I. $(WARN) -Werror -O2 -ffreestanding -fno-stack-protector -fno-pie -fno-ident \
               -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
               $(if $(findstring clang,$(APP_CC)),,-fno-tree-loop-distribute-patterns)
APP_LDFLAGS  = -static -nostdlib -nostartfiles -no-pie -s -Wl,--gc-sections,--build-id=none,-z,noexecstack

APP     := $(B)/app
APP_GEN := $(APP)/gen/app-tables
$(APP_GEN): $(sort $(wildcard bootloader/app/gen/*.c)) lib/core/bytes.c $(wildcard bootloader/app/gen/*.h) \
            bootloader/app/tables.h bootloader/app/sound.h
	@mkdir -p $(@D)
	@echo "  HOST  $@"
	@$(CC) -std=gnu11 -I. $(WARN) -Werror -O1 -o $@ $(filter %.c,$^) -lm

# The tables depend on the number before the first dot.
$(APP)/%/tables.c: $(APP_GEN)
	@mkdir -p $(@D)
	@$(APP_GEN) $(firstword $(subst ., ,$*)) >$@
$(APP)/%/tables.o: $(APP)/%/tables.c
	@echo "  CC    $<"
	@$(APP_CC) $(APP_CFLAGS) -c -o $@ $<
$(APP)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    app $<"
	@$(APP_CC) $(APP_CFLAGS) -MMD -MP -c -o $@ $<

# $(call app,VERSION)
define app
$(APP)/app-$(1).bin: $(patsubst %.c,$(APP)/obj/%.o,$(APP_COMMON) $(APP_PLATFORM) $(APP_$(1))) $(APP)/$(1)/tables.o
	@echo "  LINK  $$@"
	@$$(APP_CC) $$(APP_LDFLAGS) -o $$@ $$^ -lgcc
APPS += $(APP)/app-$(1).bin
endef
$(foreach version,$(APP_VERSIONS),$(eval $(call app,$(version))))
-include $(patsubst %.c,$(APP)/obj/%.d,$(APP_COMMON) $(APP_PLATFORM) $(APP_1.0.0) $(APP_2.0.0) $(APP_3.0.0) $(APP_3.0.1))

.PHONY: app
app: $(APPS) ## The application that the demo updates, in four releases
all: $(APPS)
