// Does a request want an event stream? Proactive negotiation by the Accept field (RFC 9110, 12.5.1).

/** A request of Node's, or of the web's. */
export interface NegotiableRequest {
  /** By name, in lower case, or with a `get`. */
  /** Node's, or the web's. */
  readonly headers:
    | {
        /** The header's value, where the client sent one. */
        readonly accept?: string | undefined
      }
    | {
        /** As `Headers.get`. */
        get(name: string): string | null
      }
}

const EVENT_STREAM = 'text/event-stream'

/**
 * Whether a request's `Accept` header asks for an event stream. Works for Node's requests (Express, Koa's `ctx.req`,
 * Fastify, HTTP/2) and for the web's.
 *
 * The most specific range counts: `text/event-stream`, then `text/*`, then `*\/*`; `q=0` refuses. Parameters other than
 * `q` are not looked at; a range with a malformed `q` is left out. No `Accept` header, or an empty one, means that
 * anything will do.
 *
 * Without `alternatives` the answer is whether a stream is acceptable at all: an endpoint that has nothing else to offer
 * answers 406 where it is `false`. With them it is whether the client would rather have the stream: it is, by a
 * higher `q`; with the same `q` if `text/event-stream` is named by itself, and the alternatives if a wildcard covers
 * both. So curl (`*\/*`) and browsers' address bars get the alternative, an EventSource gets the stream, and
 * `Accept: application/json, text/event-stream` gets the stream too.
 *
 * @param alternatives - media types that the endpoint could answer with instead
 * @example
 * if (wantsEventStream(req)) createEventStream(req, res).send({ data: 'hello' })
 * else res.writeHead(406, { vary: 'Accept' }).end()
 */
export function wantsEventStream(
  request: NegotiableRequest,
  alternatives: readonly string[] = [],
): boolean {
  const ranges = parse(acceptOf(request))
  const stream = preferenceFor(EVENT_STREAM, ranges)
  if (stream.quality === 0) return false
  return alternatives.every((type) => {
    const { quality } = preferenceFor(type.toLowerCase(), ranges)
    return stream.quality > quality || (stream.quality === quality && stream.specificity === 2)
  })
}

interface Range {
  readonly type: string
  readonly quality: number
}

interface Preference {
  readonly quality: number
  /** 2: by its name, 1: `text/*`, 0: anything. */
  readonly specificity: number
}

function acceptOf({ headers }: NegotiableRequest): string {
  if ('get' in headers && typeof headers.get === 'function') return headers.get('accept') ?? ''
  return (headers as { accept?: string }).accept ?? ''
}

/** Commas and semicolons in quoted strings separate nothing (RFC 9110, 5.6.4). */
const MEMBERS = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g
const PARAMETERS = /(?:[^;"]|"(?:[^"\\]|\\.)*"?)+/g
/** RFC 9110, 12.4.2. */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

function parse(accept: string): Range[] {
  if (accept.trim() === '') return [{ type: '*/*', quality: 1 }]
  return (accept.match(MEMBERS) ?? []).flatMap((member) => {
    const [type = '', ...parameters] = (member.match(PARAMETERS) ?? []).map((each) => each.trim())
    const weight = parameters.find((each) => /^q\s*=/i.test(each))?.replace(/^q\s*=\s*/i, '') ?? '1'
    return WEIGHT.test(weight) ? [{ type: type.toLowerCase(), quality: Number(weight) }] : []
  })
}

/** Of equally specific ranges the one that likes it best. */
function preferenceFor(type: string, ranges: readonly Range[]): Preference {
  const names = ['*/*', `${type.split('/', 1)[0]}/*`, type]
  for (const specificity of [2, 1, 0]) {
    const found = ranges.filter((range) => range.type === names[specificity])
    if (found.length > 0) {
      return { specificity, quality: Math.max(...found.map(({ quality }) => quality)) }
    }
  }
  return { specificity: 0, quality: 0 }
}
