// The certified provider on loopback, as a company might set it up: public native client, refresh tokens that rotate,
// revocation, introspection, codes for devices. Its pages are its own development ones, its words are its own.
//
// Prints its issuer, then one JSON line for whatever happens that a test may want to count.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [accessTokenTtl = '3600'] = process.argv.slice(2);
const server = createServer();
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${server.address().port}`;

// The keys that clients prove themselves with, each under its algorithm.
const keys = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
};

// For each way to prove who asks, a client for people and, where there is anything to prove, one for a machine.
function proving(method) {
  const key = keys[method];
  const proof = {
    token_endpoint_auth_method: key ? 'private_key_jwt' : method,
    ...(method.startsWith('client_secret_') && { client_secret: 's3cr%t:of+the&client' }),
    ...(key && {
      token_endpoint_auth_signing_alg: method,
      jwks: { keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: `${method}-key`, alg: method, use: 'sig' }] },
    }),
  };
  const person = {
    client_id: method === 'none' ? 'agents' : `agents-${method}`,
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    // RFC 8252 §7.3: on loopback any port will do.
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback', 'http://[::1]/callback'],
    ...proof,
  };
  const machine = {
    client_id: `machine-${method}`,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    ...proof,
  };
  return method === 'none' ? [person] : [person, machine];
}

const provider = new Provider(issuer, {
  clients: [
    ...['none', 'client_secret_basic', 'client_secret_post', ...Object.keys(keys)].flatMap(proving),
    {
      client_id: 'inspector',
      client_secret: 'the-inspectors-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  cookies: { keys: ['for tests alone'] },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
  },
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: sub, email: `${sub}@company.test`, email_verified: true }),
  }),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: Number(accessTokenTtl),
    ClientCredentials: 600,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 86400,
    Session: 86400,
  },
});

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
provider.on('grant.success', (ctx) => say({ granted: ctx.oidc.params.grant_type, id_token: Boolean(ctx.body.id_token) }));
provider.on('grant.error', (ctx, error) => say({ refused: ctx.oidc?.params?.grant_type, error: error.error }));
provider.on('grant.revoked', () => say({ revoked: true }));
provider.on('server_error', (ctx, error) => say({ broken: String(error) }));

// What a client says of itself with its key (RFC 7523 §3), at whatever endpoint, once the provider has believed it.
provider.use(async (ctx, next) => {
  await next();
  const assertion = ctx.oidc?.body?.client_assertion;
  if (assertion && ctx.status < 400) {
    const { aud, iat, exp, jti } = JSON.parse(Buffer.from(assertion.split('.')[1], 'base64url'));
    say({ asserted: ctx.path, aud, lasts: exp - iat, jti });
  }
});

process.stdout.write(`${issuer}\n`);
for (const [algorithm, { privateKey }] of Object.entries(keys)) {
  say({ key: algorithm, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) });
}
const answer = provider.callback();
server.on('request', (request, response) => {
  // A mark among the lines: whoever reads it has read everything that was said before.
  if (request.url.startsWith('/mark/')) {
    say({ mark: request.url });
    response.end();
  } else {
    answer(request, response);
  }
});

// It ends with whoever started it.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
