"""How a page looks: one sheet of CSS, light or dark as its reader likes it, and on paper."""

SHEET = """
:root{color-scheme:light dark;--page:#F6F7F9;--card:#FFFFFF;--ink:#1B2430;--text:#3D4856;--faint:#6E7987;
--rule:#E4E7EC;--training:#0072B2;--validation:#D98E04;--mark:#C2410C;--bar:#BBD7EA;--bar2:#D9CFEA;--bar3:#CFE5D3}
@media (prefers-color-scheme:dark){:root{--page:#12161C;--card:#1B212A;--ink:#EEF2F6;--text:#C4CCD6;--faint:#8E99A7;
--rule:#2E3743;--training:#56B4E9;--validation:#F0B43C;--mark:#FB8B5A;--bar:#28506B;--bar2:#473A66;--bar3:#2C5138}
.graph svg{filter:invert(.9) hue-rotate(180deg)}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
main{max-width:1160px;margin:0 auto;padding:36px 28px 64px}
h1{font-size:28px;line-height:1.2;margin:0;color:var(--ink);letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:17px;margin:38px 0 12px;color:var(--ink)}
h3{font-size:13px;margin:0 0 6px;color:var(--ink);font-weight:600;display:flex;justify-content:space-between;gap:8px;
overflow-wrap:anywhere}
h3 span{color:var(--faint);font-weight:400;white-space:nowrap;font-variant-numeric:tabular-nums}
p{margin:6px 0}.faint{color:var(--faint)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px;break-inside:avoid}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-top:20px}
.tile b{display:block;font-size:21px;line-height:1.25;color:var(--ink);font-weight:600;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile small{font-size:12px;color:var(--faint);display:block;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:12px}
.charts svg{width:100%;height:auto;display:block}
.key{font-size:13px;color:var(--faint);display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 10px}
.key i{display:inline-block;width:16px;height:3px;border-radius:2px;vertical-align:middle;margin-right:6px}
.key i.dot{width:9px;height:9px;border-radius:50%}
.key i.tip{width:0;height:0;background:none;border:5px solid transparent;border-top:8px solid var(--mark);
border-bottom:0;border-radius:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px}
th{text-align:left;font-weight:600;color:var(--faint);padding:4px 12px 6px 0;border-bottom:1px solid var(--rule);
white-space:nowrap}
td{padding:4px 12px 4px 0;border-bottom:1px solid var(--rule);vertical-align:top}
tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.c{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px;
white-space:nowrap}
td.w{overflow-wrap:anywhere;color:var(--ink)}
td.s{color:var(--faint);max-width:260px;overflow-wrap:anywhere}
.b{display:block;margin-left:auto;height:3px;border-radius:2px;background:var(--bar);margin-top:2px}
.b.m{background:var(--bar2)}.b.t{background:var(--bar3)}
.graph svg{max-width:100%;height:auto;display:block;margin:0 auto}
.graph{max-height:1500px;overflow:auto}
.notes{font-size:13px;margin-top:10px}
details{margin-top:10px}summary{cursor:pointer;color:var(--faint);font-size:13px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,
"DejaVu Sans Mono",monospace;margin:8px 0 0}
@media (max-width:640px){main{padding:22px 14px 40px}h1{font-size:23px}
.tiles{grid-template-columns:repeat(2,1fr)}.tile b{font-size:18px}}
@media print{:root{--page:#FFF}body{font-size:12px}main{max-width:none;padding:0}
.graph{max-height:none;overflow:visible}.scroll{overflow:visible}h2{break-after:avoid}}
"""
