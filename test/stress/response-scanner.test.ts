/** Compares the scanner of HTTP/1.1 responses with Node's own parser on the same bytes. */
import * as http from 'node:http'
import type * as net from 'node:net'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { LatestHead, ResponseScanner, scannerLimits } from '../../lib/stress/response-scanner'

interface Outcome {
  status: number
  /** Whether the response delimits itself and the connection can be reused. */
  keepsAlive: boolean
  /** The number of bytes after the response. */
  left: number
}

type Scanned = Outcome | 'incomplete' | 'failed'

/** Scans the pieces, and then the end of the connection: with another head before them, with none, and with their own. */
function scan(pieces: readonly Buffer[], isHead = false): Scanned {
  const afterAnother = scanAfter(ofOtherResponses, pieces, isHead)
  const own = new LatestHead()
  const afterNone = scanAfter(own, pieces, isHead)
  const afterItsOwn = scanAfter(own, pieces, isHead)
  expect([afterAnother, afterItsOwn]).toEqual([afterNone, afterNone])
  return afterNone
}

const ofOtherResponses = new LatestHead()

function scanAfter(latest: LatestHead, pieces: readonly Buffer[], isHead: boolean): Scanned {
  const scanner = new ResponseScanner(latest)
  scanner.begin(isHead)
  let left = 0
  let isDone = false
  // As in production, one buffer is reused for all pieces.
  const shared = Buffer.alloc(100_000, '!')
  for (const piece of pieces) {
    if (isDone) {
      left += piece.length
      continue
    }
    piece.copy(shared, 7)
    const end = scanner.push(shared, 7, 7 + piece.length)
    if (scanner.failure !== undefined) return 'failed'
    if (end < 0) continue
    isDone = true
    left = 7 + piece.length - end
  }
  if (!isDone && !scanner.end()) return 'incomplete'
  return { status: scanner.status, keepsAlive: scanner.keepsAlive, left }
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length))
}

/** Parses the pieces with Node's HTTP client behind an http.Agent. */
function parse(
  pieces: readonly Buffer[],
  isHead: boolean,
): Promise<{ status: number; keepsAlive: boolean } | 'failed'> {
  return new Promise((resolve) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    let isFree = false
    const connection = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        done()
      },
    }) as Duplex & Partial<net.Socket>
    Object.assign(connection, {
      setKeepAlive: () => connection,
      setTimeout: () => connection,
      ref: () => connection,
      unref: () => connection,
      setNoDelay: () => connection,
    })
    agent.createConnection = () => connection
    agent.on('free', () => {
      isFree = true
    })
    const finish = (outcome: { status: number; keepsAlive: boolean } | 'failed'): void => {
      resolve(outcome)
      agent.destroy()
      connection.destroy()
    }
    const request = http.request({ agent, method: isHead ? 'HEAD' : 'GET', host: 'h' })
    request.on('error', () => {
      finish('failed')
    })
    request.on('upgrade', ({ statusCode = 0 }) => {
      finish({ status: statusCode, keepsAlive: false })
    })
    request.on('response', (response) => {
      const { statusCode: status = 0 } = response
      response.on('error', () => {
        finish('failed')
      })
      response.on('end', () => {
        // The connection returns to the agent after 'end'.
        setImmediate(() => {
          finish(response.complete ? { status, keepsAlive: isFree } : 'failed')
        })
      })
      response.resume()
    })
    request.end()
    setImmediate(() => {
      for (const piece of pieces) if (piece.length > 0) connection.push(piece)
      // By then Node has parsed all pieces; only a response without a length waits for the end of the connection.
      inTurns(TURNS, () => connection.push(null))
    })
  })
}

const TURNS = 10

/** Calls `then` after some turns of the event loop. */
function inTurns(turns: number, then: () => void): void {
  setImmediate(() => {
    if (turns === 1) then()
    else inTurns(turns - 1, then)
  })
}

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
const framing = [
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'proxy-connection',
  'keep-alive',
  'trailer',
]
const otherHeaders = fc
  .array(fc.tuple(token, value), { maxLength: 4 })
  .map((headers) => headers.filter(([name]) => !framing.includes(name.toLowerCase())))

function letterCase(name: string): fc.Arbitrary<string> {
  return fc.constantFrom(name, name.toUpperCase(), name.toLowerCase())
}

const content = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))

const chunked = fc
  .record({
    chunks: fc.array(
      fc.record({
        data: fc.uint8Array({ minLength: 1, maxLength: 80 }),
        extension: fc.constantFrom('', ';a', ';a=b', ';a="b"'),
        zeros: fc.integer({ min: 0, max: 3 }),
        isUpper: fc.boolean(),
      }),
      { maxLength: 4 },
    ),
    trailers: otherHeaders,
  })
  .map(({ chunks, trailers }) =>
    Buffer.concat([
      ...chunks.flatMap(({ data, extension, zeros, isUpper }) => {
        const digits = '0'.repeat(zeros) + data.length.toString(16)
        const size = isUpper ? digits.toUpperCase() : digits
        return [Buffer.from(`${size}${extension}\r\n`), Buffer.from(data), Buffer.from('\r\n')]
      }),
      Buffer.from(`0\r\n${trailers.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`),
    ]),
  )

interface Parts {
  version: string
  status: number
  reason: string
  headers: (readonly [string, string])[]
  body: Buffer
}

const body = fc.oneof(
  content.map((bytes) => ({ name: 'Content-Length', text: String(bytes.length), bytes })),
  chunked.map((bytes) => ({ name: 'Transfer-Encoding', text: 'chunked', bytes })),
  chunked.map((bytes) => ({ name: 'Transfer-Encoding', text: 'gzip, chunked', bytes })),
  content.map((bytes) => ({ name: '', text: '', bytes })),
)

const response: fc.Arbitrary<Parts> = fc
  .record({
    version: fc.constantFrom('1.1', '1.1', '1.0'),
    status: fc.oneof(fc.constantFrom(200, 204, 304, 404, 500), fc.integer({ min: 200, max: 599 })),
    reason: fc.constantFrom(' OK', ' Not Found', ' ', ''),
    headers: otherHeaders,
    connection: fc.constantFrom('', 'close', 'keep-alive', 'Keep-Alive', 'x-other, close'),
    body,
    // Node's parser does not remove tabs.
    blank: fc.constantFrom('', ' ', '  '),
  })
  .chain(({ body: { name, text, bytes }, connection, headers, blank, ...rest }) =>
    fc
      .tuple(letterCase(name), letterCase('Connection'), fc.boolean())
      .map(([framed, close, isFirst]) => {
        const own: [string, string][] = []
        if (name !== '') own.push([framed, `${text}${blank}`])
        if (connection !== '') own.push([close, connection])
        const hasBody = rest.status !== 204 && rest.status !== 304
        return {
          ...rest,
          headers: isFirst ? [...own, ...headers] : [...headers, ...own],
          body: hasBody ? bytes : Buffer.alloc(0),
        }
      }),
  )

const interim = fc.constantFrom(
  '',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n',
)

function bytesOf({ version, status, reason, headers, body: content_ }: Parts): Buffer {
  const lines = headers.map(([name, text]) => `${name}: ${text}\r\n`).join('')
  const head = `HTTP/${version} ${String(status)}${reason}\r\n${lines}\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), content_])
}

const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 })

describe('ResponseScanner', () => {
  it("finds the same end, status and persistence as Node's parser, wherever the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        response,
        interim,
        fc.boolean(),
        cuts,
        async (parts, before, isHead, places) => {
          const full = isHead ? { ...parts, body: Buffer.alloc(0) } : parts
          const bytes = Buffer.concat([Buffer.from(before), bytesOf(full)])
          const pieces = cut(bytes, places)
          const theirs = await parse(pieces, isHead)
          const ours = scan(pieces, isHead)
          if (theirs === 'failed') {
            expect(['failed', 'incomplete']).toContain(ours)
          } else {
            // Node decides about persistence before it considers that a response to HEAD has no body.
            const isUndecided = isHead && !parts.headers.some(([name]) => isFraming(name))
            const { keepsAlive } = isUndecided
              ? { keepsAlive: expect.any(Boolean) as boolean }
              : theirs
            expect(ours).toEqual({ ...theirs, keepsAlive, left: 0 })
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  it('returns the same result for any bytes, wherever they are cut', () => {
    const mutated = fc
      .tuple(response, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }))
      .map(([parts, changes]) => {
        const bytes = bytesOf(parts)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        return bytes
      })
    fc.assert(
      fc.property(mutated, cuts, (bytes, places) => {
        expect(scan(cut(bytes, places))).toEqual(scan([bytes]))
      }),
      { numRuns: 2_000 },
    )
  })

  it('does not consume the bytes after the response, wherever they are cut', () => {
    const framed = response.filter(
      ({ headers, status }) =>
        status === 204 || status === 304 || headers.some(([name]) => isFraming(name)),
    )
    fc.assert(
      fc.property(framed, fc.nat({ max: 40 }), cuts, (parts, extra, places) => {
        const bytes = Buffer.concat([bytesOf(parts), Buffer.alloc(extra, 'H')])
        expect(scan(cut(bytes, places))).toMatchObject({ status: parts.status, left: extra })
      }),
    )
  })

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['a status that is not a number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a Content-Length that is not a number', 'HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n12345'],
    ['an empty Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n'],
    ['a negative Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n'],
    ['two Content-Lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
    [
      'a Content-Length beside a Transfer-Encoding',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nabc\r\n\r\n'],
    ['a blank in the name of a header', 'HTTP/1.1 200 OK\r\na b: c\r\n\r\n'],
    ['a chunk size that is no number', chunkedWith('x\r\n')],
    ['a chunk without a size', chunkedWith('\r\n')],
    ['a chunk that is longer than its size', chunkedWith('1\r\nab\r\n0\r\n\r\n')],
    ['a chunk size that overflows', chunkedWith('fffffffffffffffff\r\n')],
  ])("refuses %s, as Node's parser does", async (_what, text) => {
    const bytes = Buffer.from(text)
    expect(await parse([bytes], false)).toBe('failed')
    expect(scan([bytes])).toBe('failed')
    expect(scan(Array.from(bytes, (byte) => Buffer.from([byte])))).toBe('failed')
  })

  it.each([
    ['a version that is neither 1.0 nor 1.1', 'HTTP/2.0 200 OK\r\n', '\r\n'],
    ['a head without an end', 'HTTP/1.1 200 OK\r\nA: ', 'a'.repeat(scannerLimits.headBytes)],
    ['trailers without an end', chunkedWith('0\r\nA: '), 'a'.repeat(scannerLimits.headBytes)],
    ['endless chunk extensions', chunkedWith('1;'), 'a'.repeat(scannerLimits.extensionBytes + 1)],
    [
      'endless interim responses',
      '',
      'HTTP/1.1 100 Continue\r\n\r\n'.repeat(scannerLimits.interim + 1),
    ],
  ])('refuses %s', (_what, start, rest) => {
    expect(scan([Buffer.from(start), Buffer.from(rest)])).toBe('failed')
  })

  it.each([
    ['a head', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n'],
    ['a body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345'],
    ['a chunk', chunkedWith('5\r\nab')],
    ['the last chunk', chunkedWith('5\r\nabcde\r\n')],
    ['the trailers', chunkedWith('0\r\nA: b\r\n')],
  ])('reports a connection that ends within %s', (_what, text) => {
    expect(scan([Buffer.from(text)])).toBe('incomplete')
  })

  it.each(['Content-Length:\t0 \t', 'Transfer-Encoding: gzip ,\tchunked\t'])(
    'trims spaces and tabs around the value of %j',
    (line) => {
      const body = line.startsWith('T') ? '0\r\n\r\n' : ''
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n${body}`)
      expect(scan([bytes])).toEqual({ status: 200, keepsAlive: true, left: 0 })
    },
  )

  it('scans any number of responses one after another', () => {
    const scanner = new ResponseScanner()
    const one = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'
    const two = chunkedWith('3\r\nabc\r\n0\r\n\r\n')
    const bytes = Buffer.from(`${one}${two}${one}`)
    let at = 0
    for (const text of [one, two, one]) {
      scanner.begin(false)
      const end = scanner.push(bytes, at)
      expect(end).toBe(at + text.length)
      expect(scanner.keepsAlive).toBe(true)
      at = end
    }
  })
})

function isFraming(name: string): boolean {
  return /^(content-length|transfer-encoding)$/i.test(name)
}

function chunkedWith(text: string): string {
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}`
}
