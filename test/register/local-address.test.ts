/** Programs under register that pass a `localAddress`, to which Node binds before it connects. */
import * as net from 'node:net'
import * as tls from 'node:tls'
import { makeCertificate } from '../helpers/certificate'
import { destroyLater, listen } from '../sockets'
import { run } from './registered'
import { FOREIGN } from '../helpers/foreign-address'

const LOCAL = '127.0.0.3'
/** 12 bytes of each segment are timestamps. */
const SEGMENT = 1000 - 12
const settings = { TCP_MAXSEG: 1000, TCP_KEEPIDLE: 61 }
const WAYS = [
  'net.connect',
  'socket.connect',
  'a name',
  'a lookup in the same tick',
  'http.Agent',
  'tls.connect',
]
const certificate = makeCertificate()

type Outcomes = Record<string, Record<string, unknown>>

interface Own {
  localAddress?: string
  localPort?: number
}

/** Runs the program, and returns the outcome of each way to connect. */
async function outcomes(own: Own, configuration?: object): Promise<Outcomes> {
  const [server, secure] = [net.createServer(destroyLater), tls.createServer(certificate)]
  secure.on('connection', destroyLater)
  const ports = { port: await listen(server), tlsPort: await listen(secure) }
  const task = JSON.stringify({ ...ports, ca: certificate.cert, localAddress: LOCAL, ...own })
  const program = 'register-local-address-program.js'
  const how = configuration === undefined ? undefined : '--require'
  const ended = await run(program, [task], { configuration, how })
  expect(ended).toMatchObject({ status: 0, stderr: '' })
  return JSON.parse(
    ended.stdout.replaceAll(String(ports.tlsPort), 'P').replaceAll(String(ports.port), 'P'),
  ) as Outcomes
}

function each(outcome: object): object {
  return Object.fromEntries(WAYS.map((way) => [way, expect.objectContaining(outcome) as object]))
}

describe("a program's own local address under register", () => {
  it('is bound without a port, so that connect() chooses the port, and all options are in force', async () => {
    const tuned = { from: LOCAL, withoutPort: true, segment: SEGMENT, keepIdle: 61 }
    expect(await outcomes({}, { clients: { settings } })).toEqual(each(tuned))
  })

  it('is treated the same if register has only a close mode, or has its own sources', async () => {
    const kept = each({ from: LOCAL, withoutPort: true })
    expect(await outcomes({}, { clients: { close: 'deliver' } })).toEqual(kept)
    expect(await outcomes({}, { clients: { source: ['127.0.0.4', '127.0.0.5'] } })).toEqual(kept)
  })

  it('is left to Node if the destination does not match', async () => {
    const match = { addresses: ['10.0.0.0/8'] }
    const left = each({ from: LOCAL, withoutPort: false })
    expect(await outcomes({}, { clients: { settings, match } })).toEqual(left)
  })

  it.each([
    ['is not of this host', FOREIGN, 'EADDRNOTAVAIL'],
    ['is of another family', '::1', 'EINVAL'],
  ])('fails as it does without register if it %s', async (_, localAddress, code) => {
    const without = await outcomes({ localAddress })
    expect(without).toEqual(each({ code, syscall: 'bind' }))
    expect(await outcomes({ localAddress }, { clients: { settings } })).toEqual(without)
  })
})
