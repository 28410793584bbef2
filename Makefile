# SPDX-License-Identifier: Apache-2.0
#
# The one makefile people call. `make help` lists what it does.
#
# Each directory's module.mk names its sources and programs; the rules are here. Everything builds into
# build/$(PROFILE)/. Profiles: release (default), debug, asan.

PROFILE ?= release
B       := build/$(PROFILE)
VERSION := 0.1.0

prefix      ?= /usr/local
bindir      ?= $(prefix)/bin
sbindir     ?= $(prefix)/sbin
mandir      ?= $(prefix)/share/man
datadir     ?= $(prefix)/share
INSTALL     ?= install

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar

WARN := -Wall -Wextra -Wconversion -Wsign-conversion -Wformat=2 -Wvla -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
                  -ftrivial-auto-var-init=zero -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
CFLAGS_debug   := -O0 -g3 -fPIE
LDFLAGS_debug  := -pie
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DRB_ASAN
LDFLAGS_asan   := -fsanitize=address,undefined
ifeq ($(CFLAGS_$(PROFILE)),)
$(error PROFILE=$(PROFILE) is not one of release, debug, asan)
endif
# -ffile-prefix-map keeps the build directory out of the programs, so two checkouts build the same bytes.
ALL_CFLAGS  = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DRB_VERSION='"$(VERSION)"' -I. $(WARN) -Werror \
              -ffile-prefix-map=$(CURDIR)=. $(CFLAGS_$(PROFILE)) $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_$(PROFILE)) -Wl,--as-needed $(LDFLAGS)
LDLIBS_all  := -lcurl -ljansson -lsqlite3 -lmicrohttpd -ldivsufsort -lmbedtls -lmbedx509 -lmbedcrypto -lbz2 -lz -lm

# Recursive makes use all processors, unless the caller has said how many.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all
all:
.DELETE_ON_ERROR:
.SECONDARY:

define link
@mkdir -p $(@D)
@echo "  LINK  $@"
@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS_all)
endef
# $(call library,NAME,SOURCES): build/.../libNAME.a
define library
$(B)/lib$(1).a: $(patsubst %.c,$(B)/%.o,$(2))
LIB_SOURCES += $(2)
endef
# $(call program,NAME,SOURCES,LIBRARIES in link order): build/.../bin/NAME
define program
$(B)/bin/$(1): $(patsubst %.c,$(B)/%.o,$(2)) $(patsubst %,$(B)/lib%.a,$(3))
	$$(link)
PROGRAMS += $(B)/bin/$(1)
LIB_SOURCES += $(2)
endef
# $(call test_program,NAME,SOURCES,LIBRARIES): build/.../test-bin/NAME
define test_program
$(B)/test-bin/$(1): $(patsubst %.c,$(B)/%.o,$(2)) $(patsubst %,$(B)/lib%.a,$(3))
	$$(link)
TEST_PROGRAMS += $(B)/test-bin/$(1)
TEST_SOURCES += $(2)
endef

include lib/module.mk
include bootloader/module.mk
include pkgmgr/module.mk
include ota/module.mk
include server-tools/module.mk
include manifests/module.mk
include tests/module.mk

$(B)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcsD $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
-include $(patsubst %.c,$(B)/%.d,$(LIB_SOURCES) $(TEST_SOURCES))

all: $(PROGRAMS) ## Build the programs

.PHONY: help clean
help: ## This list
	@echo "Riverbank $(VERSION). Programs are built into $(B)/bin (PROFILE=release, debug or asan)."
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(filter-out %.d,$(MAKEFILE_LIST))

clean: ## Remove build/
	rm -rf build

# What people and packagers install: programs, man pages, completions, schemas. Nothing is run for it.
BIN_PROGRAMS  := rpk ota otaforge riverboot-sim
SBIN_PROGRAMS := otad
MAN1          := $(addprefix docs/man/,$(addsuffix .1,$(BIN_PROGRAMS)))
MAN8          := $(addprefix docs/man/,$(addsuffix .8,$(SBIN_PROGRAMS)))
COMPLETED     := $(BIN_PROGRAMS) $(SBIN_PROGRAMS)
BASH_DIR       = $(DESTDIR)$(datadir)/bash-completion/completions
ZSH_DIR        = $(DESTDIR)$(datadir)/zsh/site-functions
SCHEMA_DIR     = $(DESTDIR)$(datadir)/riverbank/schemas
SCHEMAS       := $(sort $(wildcard manifests/*.schema.json))

.PHONY: install uninstall docs
install: all ## Install below DESTDIR and prefix (/usr/local)
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8 \
	    $(BASH_DIR) $(ZSH_DIR) $(SCHEMA_DIR)
	$(INSTALL) -m 755 $(addprefix $(B)/bin/,$(BIN_PROGRAMS)) $(DESTDIR)$(bindir)
	$(INSTALL) -m 755 $(addprefix $(B)/bin/,$(SBIN_PROGRAMS)) $(DESTDIR)$(sbindir)
	$(INSTALL) -m 644 $(MAN1) $(DESTDIR)$(mandir)/man1
	$(INSTALL) -m 644 $(MAN8) $(DESTDIR)$(mandir)/man8
	for p in $(COMPLETED); do $(INSTALL) -m 644 docs/completions/$$p.bash $(BASH_DIR)/$$p || exit 1; done
	$(INSTALL) -m 644 $(addprefix docs/completions/_,$(COMPLETED)) $(ZSH_DIR)
	$(INSTALL) -m 644 $(SCHEMAS) $(SCHEMA_DIR)
uninstall: ## Remove what install put there
	rm -f $(addprefix $(DESTDIR)$(bindir)/,$(BIN_PROGRAMS)) $(addprefix $(DESTDIR)$(sbindir)/,$(SBIN_PROGRAMS))
	rm -f $(addprefix $(DESTDIR)$(mandir)/man1/,$(notdir $(MAN1))) $(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(MAN8)))
	rm -f $(addprefix $(BASH_DIR)/,$(COMPLETED)) $(addprefix $(ZSH_DIR)/_,$(COMPLETED))
	rm -f $(addprefix $(SCHEMA_DIR)/,$(notdir $(SCHEMAS)))
	-rmdir $(SCHEMA_DIR) $(DESTDIR)$(datadir)/riverbank 2>/dev/null
docs: all ## Rewrite the parts of man pages and completions that come from --help
	docs/from-help.py $(B)/bin
