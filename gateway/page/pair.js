
'use strict';
// The page asks for its state every two seconds and shows it. It knows nothing
// but what the state says; the link in its own address is all it needs to ask.
const texts = JSON.parse(document.body.dataset.texts);
const at = (id) => document.getElementById(id);
const show = (id, on) => { at(id).hidden = !on; };
const address = location.pathname.replace(/\/+$/, '');

let session = '';   // shown after the PIN
let byCode = false; // which tab is open
let active = false; // a pairing was begun on this page
let asked = false;  // for a code that has not come yet
let until = 0;      // when the code on show ends
let onShow = '';    // the status that is shown
let timer = 0;

async function ask(method, path, data) {
  const request = { method, cache: 'no-store', headers: { Accept: 'application/json' } };
  if (session) request.headers['Pairing-Session'] = session;
  if (data) {
    request.body = JSON.stringify(data);
    request.headers['Content-Type'] = 'application/json';
  }
  const answer = await fetch(address + path, request);
  const envelope = await answer.json();
  if (!envelope.success) throw envelope.error;
  return envelope.data;
}

function say(text, bad) {
  const line = at(byCode ? 'code-said' : 'qr-said');
  line.textContent = text;
  line.classList.toggle('bad', Boolean(bad));
}

function end(said, more, good) {
  clearTimeout(timer);
  for (const id of ['pair', 'pin']) show(id, false);
  at('end-said').textContent = said;
  at('end-more').textContent = more;
  at('end-mark').classList.toggle('good', Boolean(good));
  show('end', true);
}

function fail(error) {
  switch (error && error.code) {
    case 'PAIRING_LINK_USED':
      if (active) end(texts.connected, texts.connected_more, true);
      else end(texts.used, texts.used_more);
      return;
    case 'PAIRING_LINK_EXPIRED': end(texts.expired, texts.ended_more); return;
    case 'PAIRING_LINK_BLOCKED': end(texts.blocked, texts.ended_more); return;
    case 'NOT_FOUND': case 'INSTANCE_NOT_FOUND': end(texts.ended, texts.ended_more); return;
    case 'PAIRING_PIN_REQUIRED': show('pair', false); show('pin', true); return;
    case 'RATE_LIMITED': say(texts.slow_down, true); break;
    case 'VALIDATION_FAILED': asked = false; show('phone', true); say(texts.phone_wrong, true); return;
    default: say(texts.offline, true);
  }
  later(5000);
}

function render(state) {
  at('name').textContent = state.instance;
  show('whose', true);
  until = state.expires_in_ms ? Date.now() + state.expires_in_ms : 0;
  const waiting = state.status === 'starting' || state.status === 'connecting';
  show('qr', state.status === 'qr');
  show('qr-wait', waiting || state.status === 'code');
  show('qr-again', state.status === 'idle');
  show('code-box', state.status === 'code');
  if (state.status === 'code' || state.status === 'idle') asked = false;
  show('phone', !asked && state.status !== 'code' && state.status !== 'connecting');
  onShow = state.status;
  switch (state.status) {
    case 'connected': end(texts.connected, texts.connected_more, true); return;
    case 'qr': if (at('qr').src !== state.qr) at('qr').src = state.qr; break;
    case 'code': at('code').textContent = state.code; break;
  }
  status();
  later(2000);
}

// status says how the tab that is open stands.
function status() {
  if (onShow === 'idle') say(active ? texts.idle : '');
  else if (onShow === 'connecting') say(texts.connecting);
  else if (onShow === 'starting' && byCode === asked) say(texts.starting);
  else if (byCode === (onShow === 'code')) count();
  else say('');
}

function count() {
  if (byCode === (onShow === 'code') && until > Date.now()) say(texts.seconds_left.replace('{n}', Math.ceil((until - Date.now()) / 1000)));
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(look, ms);
}

async function look() {
  try { render(await ask('GET', '/state')); } catch (error) { fail(error); }
}

async function begin(data) {
  clearTimeout(timer);
  say(texts.starting);
  try {
    const state = await ask('POST', '/begin', data);
    active = true;
    render(state);
  } catch (error) { fail(error); }
}

function choose(code) {
  byCode = code;
  show('panel-qr', !code);
  show('panel-code', code);
  at('tab-qr').setAttribute('aria-selected', String(!code));
  at('tab-code').setAttribute('aria-selected', String(code));
  if (!code) { asked = false; begin({}); return; }
  status();
  at('phone-input').focus();
}

function open() {
  show('pin', false);
  show('pair', true);
  begin({});
}

at('tab-qr').addEventListener('click', () => { if (byCode) choose(false); });
at('tab-code').addEventListener('click', () => { if (!byCode) choose(true); });
at('same-phone').addEventListener('click', () => choose(true));
at('qr-again').addEventListener('click', () => begin({}));
at('other-number').addEventListener('click', () => { clearTimeout(timer); show('code-box', false); show('phone', true); onShow = ''; say(''); at('phone-input').focus(); });
at('phone').addEventListener('submit', (event) => {
  event.preventDefault();
  show('phone', false);
  asked = true;
  begin({ phone: at('phone-input').value });
});
at('pin').addEventListener('submit', async (event) => {
  event.preventDefault();
  const said = at('pin-said');
  said.textContent = '';
  said.classList.add('bad');
  try {
    session = (await ask('POST', '/unlock', { pin: at('pin-input').value })).session;
    open();
  } catch (error) {
    at('pin-input').value = '';
    if (error && error.code === 'PAIRING_PIN_WRONG') said.textContent = texts.pin_wrong + ' ' + texts.pin_left + error.details.tries_left;
    else if (error && error.code === 'RATE_LIMITED') said.textContent = texts.slow_down;
    else fail(error);
  }
});
setInterval(count, 1000);
if (document.body.dataset.view === 'pair') open();
if (document.body.dataset.view === 'pin') { show('pin', true); at('pin-input').focus(); }
