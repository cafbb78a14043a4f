/** One style sheet for both tags, adopted rather than written inline, so that a strict content security policy lets it pass. */
export function adoptStyle(root: ShadowRoot): void {
  sheet ??= makeSheet();
  root.adoptedStyleSheets = [sheet];
}

let sheet: CSSStyleSheet | undefined;

function makeSheet(): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(CSS_TEXT);
  return made;
}

const CSS_TEXT = `
:host{display:block;position:relative;overflow:hidden;background:#000;aspect-ratio:16/9}
:host([hidden]){display:none}
video{display:block;width:100%;height:100%;object-fit:contain}
button{position:absolute;left:12px;bottom:12px;padding:8px 14px;border:0;border-radius:999px;font:600 14px/1.2 system-ui,sans-serif;color:#fff;background:rgb(0 0 0/.65);cursor:pointer}
button:focus-visible{outline:2px solid #fff;outline-offset:2px}
pre{position:absolute;left:0;top:0;margin:0;padding:8px;font:11px/1.4 ui-monospace,monospace;color:#9f9;background:rgb(0 0 0/.6);pointer-events:none}
[hidden]{display:none}`;
