#!/usr/bin/env node
// The command of this package: starts the program that npm installed beside it, for this machine.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const path = require("node:path");

const name = `@keyfob/${process.platform}-${process.arch}`;

function program() {
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), "bin", "keyfob");
  } catch {
    process.stderr.write(
      `keyfob: there is no program for this machine (${process.platform}, ${process.arch})\n` +
        `  the package ${name} is not installed: npm was told to omit optional packages, or there is none\n` +
        "  install keyfob again without --omit=optional, on Linux with x64 or arm64\n",
    );
    process.exit(70);
  }
}

// A terminal signals the whole group, the program included; what is sent to this process alone is passed on.
const child = spawn(program(), process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
process.on("SIGINT", () => {});
child.on("error", (error) => {
  process.stderr.write(`keyfob: its program cannot be started\n  ${error.message}\n  install it again: npm install keyfob\n`);
  process.exit(70);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
