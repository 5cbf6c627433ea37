# What the README says, and what CI calls. Each target works alone on a fresh clone.

CARGO ?= cargo
# one selection for all builds: others would build wasmtime again with other features
ALL := --workspace
PLUGINS := hello echo rooms word-filter router moderation chat-rooms auth-token
TEST_PLUGINS := pass stamp hostile probe identity keeper
WASM := --profile plugin --target wasm32-wasip2
# advisories too, where their database can be fetched: target/tools/bin/cargo-deny check advisories
DENY := target/tools/bin/cargo-deny
BROWSE := http://127.0.0.1:3000
PAGE := examples/chat
PAGE_SOURCES := $(shell find $(PAGE)/src $(PAGE)/public -type f) $(addprefix $(PAGE)/,index.html package.json tsconfig.json vite.config.ts)

.PHONY: run test check bench plugins page toolchain node setup peers clean

run: plugins page
	$(CARGO) build $(ALL) --bins
	@echo
	@echo "The chat: open $(BROWSE) in two tabs. A moderator's token: node $(PAGE)/token.mjs mia Mia moderator"
	@echo "The smallest client: npm install --no-save socket.io-client && node examples/hello/client.mjs"
	@echo "The load generator: target/debug/hubbub bench $(BROWSE) --namespace /rooms --connections 50 --rate 500 --duration 5"
	@echo
	target/debug/hubbub serve --config hub.toml --dev

plugins: toolchain
	$(CARGO) build $(WASM) $(addprefix -p ,$(PLUGINS))

page: node $(PAGE)/dist/index.html

$(PAGE)/dist/index.html: $(PAGE)/node_modules/.package-lock.json $(PAGE_SOURCES)
	npm --prefix $(PAGE) run --silent build

%/node_modules/.package-lock.json: %/package-lock.json
	npm --prefix $* ci --no-audit --no-fund
	@touch $@

test: toolchain setup page
	$(CARGO) build $(WASM) $(addprefix -p ,$(PLUGINS) $(TEST_PLUGINS))
	$(CARGO) test $(ALL)

check: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets --quiet -- -D warnings
	$(CARGO) clippy --quiet $(WASM) $(addprefix -p ,$(PLUGINS) $(TEST_PLUGINS)) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps --quiet
	test -x $(DENY) || $(CARGO) install cargo-deny --version 0.20.2 --locked --quiet --root target/tools
	$(DENY) --workspace check --hide-inclusion-graph bans licenses sources

bench: plugins
	$(CARGO) build $(ALL) --bins --release
	tests/bench/run

# The wasm target, and a clear word when it cannot be had.
toolchain:
	@rustup target list --installed 2>/dev/null | grep -q wasm32-wasip2 \
		|| rustup target add wasm32-wasip2 \
		|| { echo "install the Rust target wasm32-wasip2 (rustup target add wasm32-wasip2)"; exit 1; }

node:
	@command -v npm >/dev/null || { echo "install Node.js 20.19 or newer, with npm: the chat page is built with it, and the official Socket.IO clients run on it"; exit 1; }

# The official clients and the browser that the tests drive.
setup: node tests/clients/js/node_modules/.package-lock.json tests/browser/node_modules/.package-lock.json
	@command -v python3 >/dev/null || { echo "install Python 3.11 or newer: python-socketio runs on it"; exit 1; }
	@test -x tests/clients/python/.venv/bin/python \
		|| { python3 -m venv tests/clients/python/.venv \
		&& tests/clients/python/.venv/bin/pip install --quiet -r tests/clients/python/requirements.txt; } \
		|| { rm -rf tests/clients/python/.venv; echo "install python3-venv"; exit 1; }

clean:
	$(CARGO) clean
