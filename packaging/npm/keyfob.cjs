#!/usr/bin/env node
// The command of this package: starts the program that npm installed beside it, for this machine.
"use strict";

const { spawn } = require("node:child_process");
const { closeSync, openSync, readFileSync, readSync } = require("node:fs");
const { constants } = require("node:os");
const path = require("node:path");

const name = `@keyfob/${process.platform}-${process.arch}`;

function stop(what, why, remedy) {
  process.stderr.write(`keyfob: ${what}\n  ${why}\n  ${remedy}\n`);
  process.exit(70);
}

function program() {
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), "bin", "keyfob");
  } catch {
    stop(
      `there is no program for this machine (${process.platform}, ${process.arch})`,
      `the package ${name} is not installed: npm was told to omit optional packages, or there is none`,
      "install keyfob again without --omit=optional, on Linux with x64 or arm64",
    );
  }
}

// Node hands what the kernel does not take for a program to a shell, which would run it line by line.
function isForThisMachine(file) {
  const head = Buffer.alloc(20);
  const descriptor = openSync(file, "r");
  readSync(descriptor, head, 0, 20, 0);
  closeSync(descriptor);
  return head.readUInt32BE(0) === 0x7f454c46 && head.readUInt16LE(18) === { x64: 62, arm64: 183 }[process.arch];
}

// Whether a terminal's own interrupt comes to this process: then it comes to the whole group, the program included. By proc(5): the numbers
// of the group and of the terminal's foreground group, behind the name, which may hold anything.
function isInForeground() {
  const [, , group, , , foreground] = readFileSync("/proc/self/stat", "utf8").split(")").pop().trim().split(" ");
  return group === foreground;
}

const found = program();
const cannotStart = (why) => stop(`${found} cannot be started`, why, "install it again, here: npm install --force keyfob");
let child;
// What is sent to this process alone is passed on. A terminal's interrupt would come twice, and the second one may mean more. Listened for
// before the program begins: what comes in between would end this process alone, and is passed on when the program is there.
for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
for (const signal of ["SIGINT", "SIGQUIT"]) {
  process.on(signal, () => isInForeground() || child.kill(signal));
}
try {
  if (!isForThisMachine(found)) cannotStart(`it is damaged, or for another kind of machine than this one (${process.arch})`);
  child = spawn(found, process.argv.slice(2), { stdio: "inherit" });
} catch (error) {
  cannotStart(error.message);
}
child.on("error", (error) => cannotStart(error.message));
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
