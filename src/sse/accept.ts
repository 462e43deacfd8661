// Decides whether a request wants an event stream. Proactive negotiation by the Accept field (RFC 9110, 12.5.1).
import { TcpSseError } from '../internal/errors.js'
import { wrongType } from '../internal/validate.js'

/** A Node request or a web `Request`. */
export interface NegotiableRequest {
  /** Node's headers by lower-case name, or a web `Headers` object. */
  readonly headers:
    | {
        /** The value of the header, if the client sent one. */
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
 * Fastify, HTTP/2) and for web requests.
 *
 * The most specific range decides (RFC 9110, 12.5.1): `text/event-stream`, then `text/*`, then `*\/*`. `q=0` rejects a
 * type. Parameters other than `q` are ignored, and so is a range with a malformed `q`. If the `Accept` header is absent
 * or empty, any type is acceptable.
 *
 * Without `alternatives`, the result says whether a stream is acceptable at all. An endpoint that offers nothing else
 * answers 406 if it is not. With `alternatives`, the result says whether the client prefers the stream. It does in two
 * cases:
 * - The stream has a higher `q` than every alternative.
 * - The stream has the same `q`, and the header names `text/event-stream` itself.
 *
 * Therefore curl (`*\/*`) and browser address bars get the alternative, and EventSource gets the stream. So does
 * `Accept: application/json, text/event-stream`.
 *
 * @param alternatives - media types that the endpoint could answer with instead
 * @throws {TcpSseError} `ERR_NOT_A_REQUEST`; `ERR_OPTION_TYPE`, for `alternatives`
 * @example
 * if (wantsEventStream(req)) createEventStream(req, res).send({ data: 'hello' })
 * else res.writeHead(406, { vary: 'Accept' }).end()
 */
export function wantsEventStream(
  request: NegotiableRequest,
  alternatives: readonly string[] = [],
): boolean {
  if (typeof request?.headers !== 'object' || request.headers === null) {
    throw new TcpSseError(
      'ERR_NOT_A_REQUEST',
      'wantsEventStream needs a request, with its headers.',
    )
  }
  if (!Array.isArray(alternatives) || alternatives.some((type) => typeof type !== 'string')) {
    throw wrongType('alternatives', 'an array of media types', alternatives)
  }
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
  /** 2: the type itself, 1: `text/*`, 0: any type. */
  readonly specificity: number
}

function acceptOf({ headers }: NegotiableRequest): string {
  if ('get' in headers && typeof headers.get === 'function') return headers.get('accept') ?? ''
  return (headers as { accept?: string }).accept ?? ''
}

/** Commas and semicolons inside quoted strings are not separators (RFC 9110, 5.6.4). */
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

/** Of several equally specific ranges, the one with the highest quality counts. */
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
