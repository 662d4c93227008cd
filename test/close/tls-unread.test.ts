/** `unreadBytes` over TLS: bytes that a close has read and that were not decrypted. */
import { once } from 'node:events'
import type * as net from 'node:net'
import * as tls from 'node:tls'
import { closeSocket } from '../../lib'
import { makeCertificate } from '../helpers/certificate'
import { destroyLater, listen } from '../sockets'

const certificate = makeCertificate()
const newest = { minVersion: 'TLSv1.3' } as const
const older = { maxVersion: 'TLSv1.2' } as const

/** Ciphers, each with the size of a record that carries four bytes. */
const ciphers: [name: string, record: number, options: tls.SecureContextOptions][] = [
  ['TLS_AES_256_GCM_SHA384', 26, newest],
  ['TLS_CHACHA20_POLY1305_SHA256', 26, { ...newest, ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }],
  ...(
    [
      ['ECDHE-ECDSA-AES128-GCM-SHA256', 33],
      ['ECDHE-ECDSA-CHACHA20-POLY1305', 25],
      ['ECDHE-ECDSA-AES128-CCM', 33],
      ['ECDHE-ECDSA-AES128-CCM8', 25],
      ['ECDHE-ECDSA-AES128-SHA', 57],
      ['ECDHE-ECDSA-AES128-SHA256', 69],
      ['ECDHE-ECDSA-AES256-SHA384', 85],
    ] as const
  ).map(([name, record]): [string, number, tls.SecureContextOptions] => [
    name,
    record,
    // Newer releases of OpenSSL refuse a tag of 8 bytes at higher levels.
    { ...older, ciphers: `${name}:@SECLEVEL=0` },
  ]),
]

/** Makes a client that has read an answer, and its server's end, which closes after the client. */
async function answered(
  options: tls.SecureContextOptions,
): Promise<{ client: tls.TLSSocket; accepted: net.Socket }> {
  const server = tls.createServer({ ...certificate, ...options })
  const accepting = once(server, 'secureConnection')
  const client = tls.connect({
    host: '127.0.0.1',
    port: await listen(server),
    ca: certificate.cert,
    servername: 'localhost',
    ...options,
  })
  destroyLater(client)
  const [accepted] = (await accepting) as [tls.TLSSocket]
  destroyLater(accepted)
  accepted.resume().write('answer')
  await once(client, 'data')
  return { client, accepted }
}

describe.each(ciphers)('unreadBytes of a close over %s', (name, record, options) => {
  it("are 0 in mode 'fin' if the peer sent only its close_notify", async () => {
    const { client } = await answered(options)
    expect(client.getCipher().name).toBe(name)
    expect(await closeSocket(client, 'fin')).toMatchObject({ mode: 'fin', unreadBytes: 0 })
  })

  it("include in mode 'lingering' the record that the peer sent before its close_notify", async () => {
    const { client, accepted } = await answered(options)
    accepted.once('end', () => accepted.write('more'))
    const report = await closeSocket(client, 'lingering')
    expect(report).toMatchObject({ mode: 'lingering', unreadBytes: record })
  })
})
