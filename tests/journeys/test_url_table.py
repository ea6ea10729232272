import pytest, time, time_machine
from django.test import Client
from django.core.cache import cache
from tests import factories, pages
from tests.journeys import everybody, doors
pytestmark = pytest.mark.django_db

FILL = {
 "/account/addresses/<uuid:pk>/": "address", "/account/addresses/<uuid:pk>/remove/":"address","/account/freight/<uuid:pk>/remove/":"freight",
 "/orders/<uuid:pk>/":"order", "/rma/<uuid:pk>/":"rma","/rma/<uuid:pk>/step/":"rma","/rma/<uuid:pk>/message/":"rma","/rma/certificates/<slug:number>/":"certificate",
 "/privacy/held/<str:label>/":"=orders.order","/privacy/requests/new/<str:kind>/":"=access","/privacy/requests/<uuid:pk>/":"access",
 "/privacy/requests/<uuid:pk>/confirm/":"erasure","/privacy/requests/<uuid:pk>/withdraw/":"erasure","/privacy/requests/<uuid:pk>/export/":"access","/privacy/link/<str:token>/":"token",
}
ADM={"privacy/hold":"hold","privacy/request":"access","orders/product":"product","orders/order":"order","rma/rma":"rma","accounts/customer":"customer","accounts/company":"company","accounts/communication":"communication","accounts/claimreview":"review"}
def test_x(settings, tmp_path):
    settings.EXPORT_DIR = str(tmp_path)
    with time_machine.travel(factories.NOW, tick=False):
        w = everybody.arrive()
        t=time.perf_counter()
        rec = w.bob.records
        def val(n):
            if n.startswith("="): return n[1:]
            if n=="customer": return str(w.bob.customer.pk)
            if n=="product": return str(rec["order"].lines.get().product_id)
            r=rec[n]
            return r if isinstance(r,str) else r.number if n=="certificate" else str(r.pk)
        who={"anon":Client(),"alice":pages.signed_in(w.alice.user,again=True),"bob":pages.signed_in(w.bob.user,again=True),
          "carol":pages.signed_in(w.carol,again=True),"erin":pages.signed_in(w.erin,again=True),"pat":pages.signed_in(w.pat,again=True)}
        out=[]
        for p in doors.patterns():
            args=[]
            n=len(doors._ARGUMENT.findall(p))
            f=FILL.get(p)
            if f: args=[val(f)]
            elif p.startswith("/admin/"):
                for k,v in ADM.items():
                    if p.startswith("/admin/"+k+"/"):
                        args=[val(v)]
                if n==0: args=[]
                if n==2 and args: args=args+["access"]
                if "letter_id" in p: args=[val("access"),val("letter")]
                if "/r/" in p: args=["1",val("order")]
                if "app_label" in p: args=["orders"]
                if "<url>" in p: args=["nothing"]
                if "step/<" in p: args[1]={"privacy/hold":"lift","privacy/request":"withdraw"}.get(p[7:].split("/<")[0],"ship" if "order" in p else "message" if "rma" in p else "close" if "commun" in p else "accept")
            elif "uidb36" in p: args=["1","set"]
            elif n==1: args=["key"]
            path=doors.filled(p,*args)
            row=[]
            for m in ("GET","POST"):
              for name,b in who.items():
                cache.clear()
                with everybody.undone():
                    c=Client(); c.cookies=type(b.cookies)(b.cookies.output(header="",sep=";")) if False else b.cookies.copy()
                    try:
                        st,text=doors.knock(c,m,path)
                    except Exception as e:
                        st,text=type(e).__name__+str(e)[:60],""
                    seen={x.label+"/"+x.envelope for x in w.bob.seen_in(text)}
                    row.append(st+("!" if seen else ""))
                    if seen and name=="alice": print("LEAK",path,seen)
            out.append(f"{p:70} {' '.join(f'{x:5}' for x in row)}")
        print("\n".join(out)); print(time.perf_counter()-t)
    assert 0
