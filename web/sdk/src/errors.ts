/** What went wrong, in a word that programs may switch on. */
export type LiveErrorCode =
  | 'aborted'
  | 'conflict'
  | 'decode'
  | 'device-busy'
  | 'disconnected'
  | 'forbidden'
  | 'invalid-url'
  | 'network'
  | 'no-device'
  | 'not-found'
  | 'not-supported'
  | 'overloaded'
  | 'permission-denied'
  | 'rejected'
  | 'server'
  | 'timeout'
  | 'unauthorized';

/** What is known beside the code and the sentence. */
export interface LiveErrorDetails {
  /** Whether the same call may succeed later without anything being changed by the caller. */
  retryable?: boolean;
  /** HTTP status of the answer that caused it. */
  status?: number;
  /** The `code` of the server's problem document: the original's number (-70001 is an expired UserSig) or a word. */
  serverCode?: string | number;
  cause?: unknown;
}

/** The one error class of this package. `message` is the server's own sentence wherever it gave one. */
export class LiveError extends Error {
  override readonly name = 'LiveError';
  readonly code: LiveErrorCode;
  readonly retryable: boolean;
  readonly status: number | undefined;
  readonly serverCode: string | number | undefined;

  constructor(code: LiveErrorCode, message: string, details: LiveErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
    this.status = details.status;
    this.serverCode = details.serverCode;
  }

  /** Turns anything thrown into a `LiveError`; `fallback` names what the caller was doing. */
  static from(thrown: unknown, fallback: LiveErrorCode = 'network'): LiveError {
    if (thrown instanceof LiveError) return thrown;
    const name = nameOf(thrown);
    const code = BY_EXCEPTION[name] ?? fallback;
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new LiveError(code, SENTENCES[code] ?? text, { cause: thrown });
  }
}

/** Whether a player that met `error` should ask again: a stream that is not there may come (back) if it was there or is waited for. */
export function worthPlayingAgain(error: LiveError, hasPlayed: boolean, waitForStream: boolean): boolean {
  if (error.code === 'not-found') return hasPlayed || waitForStream;
  return error.retryable;
}

/** Whether a pusher that met `error` should ask again: after an outage the server may still hold its own former publication. */
export function worthPushingAgain(error: LiveError, hasPublished: boolean): boolean {
  return error.retryable || (error.code === 'conflict' && hasPublished);
}

/** Reads a refusal of the server (RFC 9457 `application/problem+json`, or plain text) into a `LiveError`. */
export function errorFromAnswer(status: number, contentType: string | null, body: string): LiveError {
  const problem = (contentType ?? '').includes('json') ? parseProblem(body) : undefined;
  const plain = (contentType ?? '').startsWith('text/plain') ? body.trim().slice(0, SENTENCE_CHARS_MAX) : '';
  const sentence =
    problem?.detail ?? problem?.title ?? (plain || `The server answered with status ${status}.`);
  const code = codeOfStatus(status);
  const details: LiveErrorDetails = { status };
  if (problem?.code !== undefined) details.serverCode = problem.code;
  return new LiveError(code, sentence, details);
}

function codeOfStatus(status: number): LiveErrorCode {
  const exact = BY_STATUS[status];
  if (exact) return exact;
  return status >= 500 ? 'server' : 'rejected';
}

interface Problem {
  title?: string;
  detail?: string;
  code?: string | number;
}

function parseProblem(body: string): Problem | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { title, detail, code } = value as Record<string, unknown>;
  const problem: Problem = {};
  if (typeof title === 'string' && title) problem.title = title;
  if (typeof detail === 'string' && detail) problem.detail = detail;
  if (typeof code === 'string' || typeof code === 'number') problem.code = code;
  return problem;
}

function nameOf(thrown: unknown): string {
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown ? String(thrown.name) : '';
}

const SENTENCE_CHARS_MAX = 500;

const RETRYABLE: ReadonlySet<LiveErrorCode> = new Set([
  'disconnected',
  'network',
  'overloaded',
  'server',
  'timeout',
]);

const BY_STATUS: Readonly<Record<number, LiveErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  405: 'not-supported',
  406: 'not-supported',
  408: 'timeout',
  409: 'conflict',
  415: 'not-supported',
  422: 'not-supported',
  429: 'overloaded',
  501: 'not-supported',
  503: 'overloaded',
  504: 'timeout',
};

const BY_EXCEPTION: Readonly<Record<string, LiveErrorCode>> = {
  AbortError: 'aborted',
  NotAllowedError: 'permission-denied',
  SecurityError: 'permission-denied',
  NotFoundError: 'no-device',
  OverconstrainedError: 'no-device',
  NotReadableError: 'device-busy',
  TimeoutError: 'timeout',
};

const SENTENCES: Partial<Record<LiveErrorCode, string>> = {
  aborted: 'The call was cancelled.',
  'permission-denied': 'The browser did not allow the camera, microphone or screen to be used.',
  'no-device': 'No camera or microphone was found that fits the request.',
  'device-busy': 'The camera or microphone is in use by another program.',
};
