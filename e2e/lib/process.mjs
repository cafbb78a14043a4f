// Child processes that end with the test that started them, by their own process id.

import { spawn } from 'node:child_process';

/** At most so many characters of a child's output are kept; the newest count. */
const OUTPUT_MAX = 4_000_000;
/** A child that does not end when asked is killed after this. */
const END_MS = 8_000;

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program; `pipe` leaves its standard input to the caller. `ended` resolves with its exit code; `stop` asks it to end, and makes sure. */
export function start(program, args, { env = {}, input, pipe = false } = {}) {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: [input === undefined && !pipe ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text) => {
      output[name] = (output[name] + text).slice(-OUTPUT_MAX);
    });
  }
  if (input !== undefined) child.stdin.end(input);
  const ended = new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${program} cannot be started: ${error.message}`)));
    child.once('close', (code, signal) => resolve(code ?? signal));
  }).finally(() => running.delete(child));
  // Whoever awaits `ended` gets the error; nobody else needs to.
  ended.catch(() => {});
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };
  return { child, output, ended, stop };
}

/** Runs a program to its end; anything but exit code 0 is an error that carries what it said. */
export async function run(program, args, { timeoutMs = 30_000, ...options } = {}) {
  const started = start(program, args, options);
  const timer = setTimeout(() => started.child.kill('SIGKILL'), timeoutMs);
  try {
    const code = await started.ended;
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${started.output.stderr.slice(-2_000)}`);
    return started.output;
  } finally {
    clearTimeout(timer);
  }
}
