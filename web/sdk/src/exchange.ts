import { errorFromAnswer, LiveError } from './errors.js';

/** An accepted offer: WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) do it alike. */
export interface Exchange {
  answer: string;
  /** Where to DELETE when it is over; absent when the server named none. */
  resource: string | undefined;
}

/**
 * Posts an SDP offer and returns the answer.
 * @throws LiveError with the server's sentence, `network` when nobody answered, `aborted` when `signal` ended it.
 */
export async function exchange(
  endpoint: string,
  offer: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Exchange> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(endpoint, {
      method: 'POST',
      headers: { ...authorization(token), 'content-type': 'application/sdp', accept: 'application/sdp' },
      body: offer,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
    });
    body = await response.text();
  } catch (thrown) {
    const error = LiveError.from(thrown, 'network');
    if (error.code !== 'network') throw error;
    throw new LiveError('network', `The server at ${new URL(endpoint).host} cannot be reached.`, {
      cause: thrown,
    });
  }
  if (!response.ok) throw errorFromAnswer(response.status, response.headers.get('content-type'), body);
  if (!body.startsWith('v=')) {
    throw new LiveError(
      'server',
      'The server did not answer with a session description. Is this a WHEP or WHIP address?',
      {
        status: response.status,
        retryable: false,
      },
    );
  }
  const location = response.headers.get('location');
  return { answer: body, resource: location ? new URL(location, response.url || endpoint).href : undefined };
}

/** Ends what `exchange` began. Never fails: a server that is gone has ended it already. */
export async function release(resource: string | undefined, token: string | undefined): Promise<void> {
  if (!resource) return;
  try {
    const answer = await fetch(resource, {
      method: 'DELETE',
      headers: authorization(token),
      keepalive: true,
    });
    await answer.text();
  } catch {
    // Nobody is left to tell.
  }
}

/** The header that carries a token, or none. */
export function authorization(token: string | undefined): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {};
}

const ANSWER_MS_MAX = 10_000;
